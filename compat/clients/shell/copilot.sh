# settings:
export COPILOT_PROVIDER_BASE_URL=$AISA_BASE_URL/v1 COPILOT_PROVIDER_API_KEY=$AISA_API_KEY COPILOT_MODEL=gpt-4.1
# :settings
export COPILOT_OFFLINE=true
talk() { copilot --no-color --allow-all-tools -p "$HELLO"; }
plain() { talk; }
responses() { COPILOT_PROVIDER_WIRE_API=responses talk; }
messages() { COPILOT_PROVIDER_TYPE=anthropic COPILOT_PROVIDER_BASE_URL=$AISA_BASE_URL talk; }
bad_key() { COPILOT_PROVIDER_API_KEY=$BAD_KEY talk; }
