// Google's client for Go.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"google.golang.org/genai"
)

const model, hello, weather = "gpt-4.1", "Say hello in one sentence.", "What is the weather in Oslo?"

// settings:
func connect(key string) (*genai.Client, error) {
	options := genai.HTTPOptions{BaseURL: os.Getenv("AISA_BASE_URL")}
	return genai.NewClient(ctx, &genai.ClientConfig{APIKey: key, Backend: genai.BackendGeminiAPI, HTTPOptions: options})
}

// :settings

var ctx = context.Background()
var client, _ = connect(os.Getenv("AISA_API_KEY"))

func plain() (string, error) {
	answer, err := client.Models.GenerateContent(ctx, model, genai.Text(hello), nil)
	if err != nil {
		return "", err
	}
	return answer.Text(), nil
}

func stream() (string, error) {
	text := ""
	for part, err := range client.Models.GenerateContentStream(ctx, model, genai.Text(hello), nil) {
		if err != nil {
			return "", err
		}
		text += part.Text()
	}
	return text, nil
}

func tools() (string, error) {
	form := map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"}}
	offer := &genai.FunctionDeclaration{Name: "get_weather", ParametersJsonSchema: form}
	config := &genai.GenerateContentConfig{Tools: []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{offer}}}}
	said := genai.Text(weather)
	first, err := client.Models.GenerateContent(ctx, model, said, config)
	if err != nil {
		return "", err
	}
	call := first.FunctionCalls()[0]
	result := &genai.Part{FunctionResponse: &genai.FunctionResponse{ID: call.ID, Name: call.Name, Response: map[string]any{"output": "It is cold."}}}
	said = append(said, first.Candidates[0].Content, &genai.Content{Role: "user", Parts: []*genai.Part{result}})
	last, err := client.Models.GenerateContent(ctx, model, said, config)
	if err != nil {
		return "", err
	}
	return last.Text(), nil
}

func schema() (string, error) {
	fields := map[string]*genai.Schema{"name": {Type: genai.TypeString}, "people": {Type: genai.TypeInteger}}
	form := &genai.Schema{Type: genai.TypeObject, Properties: fields, Required: []string{"name", "people"}}
	config := &genai.GenerateContentConfig{ResponseMIMEType: "application/json", ResponseSchema: form}
	answer, err := client.Models.GenerateContent(ctx, model, genai.Text("Name a city and how many people live there."), config)
	if err != nil {
		return "", err
	}
	var city struct{ Name string }
	return answer.Text(), json.Unmarshal([]byte(answer.Text()), &city)
}

func embeddings() (string, error) {
	answer, err := client.Models.EmbedContent(ctx, model, genai.Text(hello), nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(len(answer.Embeddings[0].Values)), nil
}

func badKey() (string, error) {
	other, _ := connect("sk-nobody-has-this-key")
	_, err := other.Models.GenerateContent(ctx, model, genai.Text(hello), nil)
	return "", err
}

func models() (string, error) {
	list, err := client.Models.List(ctx, nil)
	if err != nil {
		return "", err
	}
	return list.Items[0].Name, nil
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
	tell("embeddings", embeddings)
	tell("bad_key", badKey)
	tell("models", models)
}
