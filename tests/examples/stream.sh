curl https://api.aisa.one/v1/chat/completions \
  -H "Authorization: Bearer $AISA_API_KEY" \
  -H "Content-Type: application/json" \
  -N \
  -d '{
    "model": "gpt-5",
    "messages": [{"role": "user", "content": "Write a haiku about APIs."}],
    "stream": true
  }'
