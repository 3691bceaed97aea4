# settings:
mkdir -p ~/.pi/agent
cat > ~/.pi/agent/models.json <<END
{"providers": {"aisa": {"baseUrl": "$AISA_BASE_URL/v1", "api": "openai-completions", "apiKey": "AISA_API_KEY", "models": [{"id": "gpt-4.1"}]}}}
END
# :settings
plain() { pi -p --provider aisa --model gpt-4.1 "$HELLO"; }
bad_key() { AISA_API_KEY=$BAD_KEY pi -p --provider aisa --model gpt-4.1 "$HELLO"; }
models() { pi --list-models aisa; }
