curl --request POST \
  --url https://api.aisa.one/v1/chat/completions \
  --header 'Authorization: Bearer <token>' \
  --header 'Content-Type: application/json' \
  --data '
{
  "model": "gpt-4.1",
  "messages": [
    {
      "role": "user",
      "content": "<string>"
    }
  ],
  "stream": false,
  "logprobs": true,
  "top_logprobs": 123,
  "functions": [
    {
      "name": "<string>",
      "description": "<string>",
      "parameters": {}
    }
  ],
  "function_call": "auto"
}
'
