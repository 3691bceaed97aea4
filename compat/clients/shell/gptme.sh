# settings:
export OPENAI_BASE_URL=$AISA_BASE_URL/v1 OPENAI_API_KEY=$AISA_API_KEY MODEL=local/gpt-4.1
# :settings
plain() { gptme --non-interactive --no-stream --tools none "$HELLO"; }
stream() { gptme --non-interactive --tools none "$HELLO"; }
bad_key() { OPENAI_API_KEY=$BAD_KEY gptme --non-interactive --tools none "$HELLO"; }
