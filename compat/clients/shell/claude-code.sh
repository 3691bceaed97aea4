# settings:
export ANTHROPIC_BASE_URL=$AISA_BASE_URL ANTHROPIC_AUTH_TOKEN=$AISA_API_KEY ANTHROPIC_MODEL=gpt-4.1
# :settings
export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
plain() { claude -p "$HELLO"; }
stream() { claude -p --output-format stream-json --include-partial-messages --verbose "$HELLO" | grep -c text_delta; }
api_key() { env -u ANTHROPIC_AUTH_TOKEN ANTHROPIC_API_KEY="$AISA_API_KEY" claude -p "$HELLO"; }
bad_key() { ANTHROPIC_AUTH_TOKEN=$BAD_KEY claude -p "$HELLO"; }
