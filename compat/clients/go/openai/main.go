// OpenAI's client for Go, at chat completions and responses.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

const model, hello, weather = "gpt-4.1", "Say hello in one sentence.", "What is the weather in Oslo?"

// settings:
func connect(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(os.Getenv("AISA_BASE_URL")+"/v1"), option.WithAPIKey(key))
}

// :settings

var ctx = context.Background()
var client = connect(os.Getenv("AISA_API_KEY"))

func asked(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

func object(fields map[string]any, required ...string) map[string]any {
	return map[string]any{"type": "object", "properties": fields, "required": required, "additionalProperties": false}
}

func plain() (string, error) {
	answer, err := client.Chat.Completions.New(ctx, asked(hello))
	if err != nil {
		return "", err
	}
	return answer.Choices[0].Message.Content, nil
}

func stream() (string, error) {
	events := client.Chat.Completions.NewStreaming(ctx, asked(hello))
	whole := openai.ChatCompletionAccumulator{}
	for events.Next() {
		whole.AddChunk(events.Current())
	}
	if events.Err() != nil {
		return "", events.Err()
	}
	return whole.Choices[0].Message.Content, nil
}

func tools() (string, error) {
	ask := asked(weather)
	ask.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "get_weather", Parameters: object(map[string]any{"city": map[string]any{"type": "string"}}, "city"),
	})}
	first, err := client.Chat.Completions.New(ctx, ask)
	if err != nil {
		return "", err
	}
	said := first.Choices[0].Message
	ask.Messages = append(ask.Messages, said.ToParam(), openai.ToolMessage("It is cold.", said.ToolCalls[0].ID))
	last, err := client.Chat.Completions.New(ctx, ask)
	if err != nil {
		return "", err
	}
	return last.Choices[0].Message.Content, nil
}

func schema() (string, error) {
	ask := asked("Name a city and how many people live there.")
	fields := map[string]any{"name": map[string]any{"type": "string"}, "people": map[string]any{"type": "integer"}}
	form := shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "city", Schema: object(fields, "name", "people"), Strict: param.NewOpt(true)}
	ask.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: form}
	answer, err := client.Chat.Completions.New(ctx, ask)
	if err != nil {
		return "", err
	}
	var city struct{ Name string }
	return answer.Choices[0].Message.Content, json.Unmarshal([]byte(answer.Choices[0].Message.Content), &city)
}

func byResponses() (string, error) {
	events := client.Responses.NewStreaming(ctx, responses.ResponseNewParams{
		Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: param.NewOpt(hello)},
	})
	text := ""
	for events.Next() {
		if event := events.Current(); event.Type == "response.completed" {
			text = event.Response.OutputText()
		}
	}
	return text, events.Err()
}

func badKey() (string, error) {
	_, err := newClientOf("sk-nobody-has-this-key")
	return "", err
}

func newClientOf(key string) (*openai.ChatCompletion, error) {
	other := connect(key)
	return other.Chat.Completions.New(ctx, asked(hello))
}

func models() (string, error) {
	list, err := client.Models.List(ctx)
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
	tell("schema", schema)
	tell("responses", byResponses)
	tell("bad_key", badKey)
	tell("models", models)
}
