#!/usr/bin/env bash
# github.com/tmc/langchaingo v0.1.14, the LangChain of Go, takes an error in the middle of a stream for nothing: what was said before it is the answer, and
# `err` is nil. It breaks on a line of more than 64 KiB, and gives fragments of calls that come in turns all to the last call.
#
# Seen, for streams of OpenAI's form:
#   "Hello", " wor", {"error": {"message": "The engine is overloaded."}}       "Hello wor", err nil, no reason to stop, 0 tokens
#   the same that just ends, in order                                           the same
#   the same whose connection is broken off                                     err: "error reading streaming response: unexpected EOF"
#   a call of a tool in one chunk, with arguments of 65,000 characters          the call
#   with arguments of 66,000 characters                                         err: "... bufio.Scanner: token too long"
#   two calls, both begun, then their fragments in turns                        pay(), and pay({"amount"{"amount": 100}: 2500})
# So only a connection that is broken off, or `StopReason == ""`, says that an answer is half.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir client
cd client
cat >main.go <<'GO'
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/tmc/langchaingo/llms"
	"github.com/tmc/langchaingo/llms/openai"
)

func chunk(delta, finish string) string {
	return `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + "}]}\n\n"
}

func text(said string) string { return chunk(`{"content":"`+said+`"}`, "null") }

func begun(index int, arguments string) string {
	quoted, _ := json.Marshal(arguments)
	return chunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":"call_%d","type":"function","function":{"name":"pay","arguments":%s}}]}`, index, index, quoted), "null")
}

func more(index int, arguments string) string {
	quoted, _ := json.Marshal(arguments)
	return chunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, index, quoted), "null")
}

func read(events string, broken bool) string {
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("content-type", "text/event-stream")
		fmt.Fprint(writer, events)
		writer.(http.Flusher).Flush()
		if broken {
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	model, err := openai.New(openai.WithBaseURL(server.URL), openai.WithToken("any"), openai.WithModel("m"))
	if err != nil {
		return "err: " + err.Error()
	}
	asked := []llms.MessageContent{llms.TextParts(llms.ChatMessageTypeHuman, "x")}
	nothing := func(context.Context, []byte) error { return nil }
	answer, err := model.GenerateContent(context.Background(), asked, llms.WithStreamingFunc(nothing))
	if err != nil {
		return "err: " + err.Error()
	}
	choice := answer.Choices[0]
	told := fmt.Sprintf("%q, stopped %q, %v tokens", choice.Content, choice.StopReason, choice.GenerationInfo["CompletionTokens"])
	for _, call := range choice.ToolCalls {
		given := call.FunctionCall.Arguments
		if len(given) > 100 {
			given = fmt.Sprintf("%d characters", len(given))
		}
		told += ", pay(" + given + ")"
	}
	return told
}

func main() {
	said := chunk(`{"role":"assistant","content":""}`, "null") + text("Hello") + text(" wor")
	failure := `data: {"error":{"message":"The engine is overloaded.","type":"server_error","code":"overloaded","param":null}}` + "\n\n"
	end := chunk("{}", `"tool_calls"`) + "data: [DONE]\n\n"
	large := func(length int) string { return begun(0, `{"a":"`+strings.Repeat("a", length-8)+`"}`) + end }
	turns := begun(0, "") + begun(1, "") + more(0, `{"amount"`) + more(1, `{"amount"`) + more(0, ": 100}") + more(1, ": 2500}") + end
	half := `"Hello wor", stopped "", 0 tokens`
	for _, row := range []struct {
		name, events string
		broken       bool
		expected     string
	}{
		{"failed", said + failure, false, half},
		{"ended", said, false, half},
		{"broken off", said, true, "err: error reading streaming response: unexpected EOF"},
		{"65,000", large(65_000), false, `"", stopped "tool_calls", 0 tokens, pay(65000 characters)`},
		{"66,000", large(66_000), false, "err: error reading streaming response: bufio.Scanner: token too long"},
		{"turns", turns, false, `"", stopped "tool_calls", 0 tokens, pay(), pay({"amount"{"amount": 100}: 2500})`},
	} {
		seen := read(row.events, row.broken)
		fmt.Printf("%-10s  %s\n", row.name, seen)
		if seen != row.expected {
			fmt.Println("this has changed")
			os.Exit(1)
		}
	}
}
GO
go mod init client 2>/dev/null
go get github.com/tmc/langchaingo@v0.1.14 2>/dev/null
go mod tidy 2>/dev/null
go run .
