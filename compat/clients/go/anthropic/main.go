// Anthropic's client for Go.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

const model, hello, weather = "gpt-4.1", "Say hello in one sentence.", "What is the weather in Oslo?"

// settings:
func connect(key string) anthropic.Client {
	return anthropic.NewClient(option.WithBaseURL(os.Getenv("AISA_BASE_URL")), option.WithAPIKey(key))
}

// :settings

var ctx = context.Background()
var client = connect(os.Getenv("AISA_API_KEY"))

func asked(text string) anthropic.MessageNewParams {
	said := anthropic.NewUserMessage(anthropic.NewTextBlock(text))
	return anthropic.MessageNewParams{Model: model, MaxTokens: 1000, Messages: []anthropic.MessageParam{said}}
}

func plain() (string, error) {
	answer, err := client.Messages.New(ctx, asked(hello))
	if err != nil {
		return "", err
	}
	return answer.Content[0].Text, nil
}

func stream() (string, error) {
	events := client.Messages.NewStreaming(ctx, asked(hello))
	message := anthropic.Message{}
	for events.Next() {
		if err := message.Accumulate(events.Current()); err != nil {
			return "", err
		}
	}
	if events.Err() != nil {
		return "", events.Err()
	}
	return message.Content[0].Text, nil
}

func tools() (string, error) {
	ask := asked(weather)
	form := anthropic.ToolInputSchemaParam{Properties: map[string]any{"city": map[string]any{"type": "string"}}, Required: []string{"city"}}
	ask.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{Name: "get_weather", InputSchema: form}}}
	first, err := client.Messages.New(ctx, ask)
	if err != nil {
		return "", err
	}
	results := []anthropic.ContentBlockParamUnion{}
	for _, block := range first.Content {
		if block.Type == "tool_use" {
			results = append(results, anthropic.NewToolResultBlock(block.ID, "It is cold.", false))
		}
	}
	ask.Messages = append(ask.Messages, first.ToParam(), anthropic.NewUserMessage(results...))
	last, err := client.Messages.New(ctx, ask)
	if err != nil {
		return "", err
	}
	return last.Content[0].Text, nil
}

func badKey() (string, error) {
	other := connect("sk-nobody-has-this-key")
	_, err := other.Messages.New(ctx, asked(hello))
	return "", err
}

func models() (string, error) {
	list, err := client.Models.List(ctx, anthropic.ModelListParams{})
	if err != nil {
		return "", err
	}
	return list.Data[0].ID, nil
}

func tell(does string, try func() (string, error)) {
	seen, err := try()
	failed := ""
	switch {
	case does == "bad_key" && err != nil:
		seen = err.Error()
	case err != nil:
		failed = err.Error()
	case seen == "":
		failed = "it returned nothing"
	}
	line, _ := json.Marshal(map[string]string{"does": does, "seen": seen, "failed": failed})
	fmt.Println("::" + string(line))
}

func main() {
	tell("plain", plain)
	tell("stream", stream)
	tell("tools", tools)
	tell("bad_key", badKey)
	tell("models", models)
}
