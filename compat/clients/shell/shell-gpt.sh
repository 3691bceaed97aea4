# settings:
mkdir -p ~/.config/shell_gpt
cat > ~/.config/shell_gpt/.sgptrc <<END
API_BASE_URL=$AISA_BASE_URL/v1
OPENAI_API_KEY=$AISA_API_KEY
DEFAULT_MODEL=gpt-4.1
OPENAI_USE_FUNCTIONS=false
END
# :settings
plain() { sgpt --no-cache "$HELLO"; }
bad_key() { OPENAI_API_KEY=$BAD_KEY sgpt --no-cache "$HELLO"; }
