# settings:
export OPENAI_BASE_URL=$AISA_BASE_URL/v1 OPENAI_API_KEY=$AISA_API_KEY OPENAI_MODEL=gpt-4.1
# :settings
plain() { qwen --auth-type openai -p "$HELLO"; }
bad_key() { OPENAI_API_KEY=$BAD_KEY qwen --auth-type openai -p "$HELLO"; }
