# settings:
cat > config.yaml <<END
name: aisa
version: 0.0.1
schema: v1
models:
  - name: aisa
    provider: openai
    model: gpt-4.1
    apiBase: $AISA_BASE_URL/v1
    apiKey: $AISA_API_KEY
    roles: [chat]
END
# :settings
plain() { cn -p --config config.yaml "$HELLO"; }
bad_key() { sed "s/apiKey: .*/apiKey: $BAD_KEY/" config.yaml > bad.yaml; cn -p --config bad.yaml "$HELLO"; }
