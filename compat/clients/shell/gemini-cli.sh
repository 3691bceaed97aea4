# settings:
export GOOGLE_GEMINI_BASE_URL=$AISA_BASE_URL GEMINI_API_KEY=$AISA_API_KEY GEMINI_MODEL=gemini-2.5-flash
mkdir -p ~/.gemini
echo '{"security": {"auth": {"selectedType": "gemini-api-key"}}}' > ~/.gemini/settings.json
# :settings
plain() { gemini --skip-trust -p "$HELLO"; }
bad_key() { GEMINI_API_KEY=$BAD_KEY gemini --skip-trust -p "$HELLO"; }
