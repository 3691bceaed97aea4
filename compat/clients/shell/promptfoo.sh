# settings:
cat > promptfooconfig.yaml <<END
prompts: ["$HELLO"]
providers:
  - {id: "openai:chat:gpt-4.1", config: {apiBaseUrl: "$AISA_BASE_URL/v1", apiKey: "{{env.AISA_API_KEY}}"}}
  - {id: "openai:responses:gpt-4.1", config: {apiBaseUrl: "$AISA_BASE_URL/v1", apiKey: "{{env.AISA_API_KEY}}"}}
  - {id: "anthropic:messages:gpt-4.1", config: {apiBaseUrl: "$AISA_BASE_URL", apiKey: "{{env.AISA_API_KEY}}"}}
tests: [{assert: [{type: javascript, value: "output.length > 0"}]}]
END
# :settings
export PROMPTFOO_DISABLE_TELEMETRY=1 PROMPTFOO_DISABLE_UPDATE=1
plain() { promptfoo eval --no-cache --no-table; }
bad_key() { AISA_API_KEY=$BAD_KEY promptfoo eval --no-cache; }
