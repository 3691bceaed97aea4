# settings:
export AIDER_MODEL=openai/gpt-4.1 OPENAI_API_BASE=$AISA_BASE_URL/v1 OPENAI_API_KEY=$AISA_API_KEY
# :settings
talk() { aider --no-git --yes --no-check-update --no-analytics --no-show-model-warnings --no-pretty "$@"; }
stream() { talk --message "$HELLO" | grep "Tokens: .* received"; }
plain() { talk --no-stream --message "$HELLO" | grep "Tokens: .* received"; }
bad_key() { OPENAI_API_KEY=$BAD_KEY talk --message "$HELLO" | tr -d '\n'; }
