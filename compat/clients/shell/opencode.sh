# settings:
cat > opencode.json <<END
{
  "provider": {
    "aisa": {
      "npm": "@ai-sdk/openai-compatible",
      "options": {"baseURL": "$AISA_BASE_URL/v1", "apiKey": "{env:AISA_API_KEY}"},
      "models": {"gpt-4.1": {}}
    }
  }
}
END
# :settings
plain() { opencode run -m aisa/gpt-4.1 "$HELLO"; }
bad_key() { AISA_API_KEY=$BAD_KEY opencode run -m aisa/gpt-4.1 "$HELLO"; }
