# settings:
cline auth --provider openai --apikey "$AISA_API_KEY" --baseurl "$AISA_BASE_URL/v1" --modelid gpt-4.1
# :settings
plain() { cline --json --plan --timeout 60 "$HELLO"; }
bad_key() { cline --json --plan --timeout 60 --retries 1 --key "$BAD_KEY" "$HELLO"; }
