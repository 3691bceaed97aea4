#!/usr/bin/env bash
# github.com/sashabaranov/go-openai v1.43.0, the client for OpenAI's API in Go that was there before OpenAI's own, gives a stream up behind 150 comments in a
# row, by which servers and proxies keep a connection alive while a model thinks. The client counts lines without data, and a comment is two.
#
# Seen, for a stream that says "Hello." behind so many lines `: thinking`, each with its blank line:
#   150   "Hello.", and the end in order
#   151   nothing, and "stream has sent too many empty messages"
#
# With a comment every second a model may think for two minutes and a half, every fifteen seconds for 37 minutes.
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
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	openai "github.com/sashabaranov/go-openai"
)

const said = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello."},"finish_reason":null}]}`

func read(comments int) (string, error) {
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("content-type", "text/event-stream")
		fmt.Fprint(writer, strings.Repeat(": thinking\n\n", comments), said, "\n\ndata: [DONE]\n\n")
	}))
	defer server.Close()
	settings := openai.DefaultConfig("any")
	settings.BaseURL = server.URL
	asked := openai.ChatCompletionRequest{Model: "m", Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "x"}}}
	stream, err := openai.NewClientWithConfig(settings).CreateChatCompletionStream(context.Background(), asked)
	text := ""
	for err == nil {
		var chunk openai.ChatCompletionStreamResponse
		if chunk, err = stream.Recv(); err == nil {
			text += chunk.Choices[0].Delta.Content
		}
	}
	return text, err
}

func main() {
	for _, comments := range []int{0, 150, 151, 600} {
		text, err := read(comments)
		fmt.Printf("%4d comments: %q, %v\n", comments, text, err)
		whole := text == "Hello." && errors.Is(err, io.EOF)
		lost := text == "" && errors.Is(err, openai.ErrTooManyEmptyStreamMessages)
		if comments <= 150 && !whole || comments > 150 && !lost {
			fmt.Println("this has changed")
			os.Exit(1)
		}
	}
}
GO
go mod init client 2>/dev/null
go get github.com/sashabaranov/go-openai@v1.43.0 2>/dev/null
go run .
