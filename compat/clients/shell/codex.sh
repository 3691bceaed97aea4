# settings:
mkdir -p ~/.codex
cat > ~/.codex/config.toml <<END
model = "gpt-4.1"
model_provider = "aisa"

[model_providers.aisa]
name = "aisa"
base_url = "$AISA_BASE_URL/v1"
env_key = "AISA_API_KEY"
wire_api = "responses"
END
# :settings
plain() { codex exec --skip-git-repo-check "$HELLO"; }
bad_key() { AISA_API_KEY=$BAD_KEY codex exec --skip-git-repo-check "$HELLO"; }
