# settings:
export LLM_USER_PATH=~/llm
mkdir -p ~/llm
cat > ~/llm/extra-openai-models.yaml <<END
- model_id: aisa
  model_name: gpt-4.1
  api_base: $AISA_BASE_URL/v1
  api_key_name: aisa
  supports_tools: true
  supports_schema: true
END
llm keys set aisa --value "$AISA_API_KEY"
# :settings
plain() { llm -m aisa --no-stream "$HELLO"; }
stream() { llm -m aisa "$HELLO"; }
tools() { llm -m aisa --functions $'def get_weather(city: str) -> str:\n    "Get the weather"\n    return "It is cold."' --td "$WEATHER" 2>&1 | grep -A9 get_weather; }
schema() { llm -m aisa --schema 'name, people int' "$CITY"; }
bad_key() { llm -m aisa --key "$BAD_KEY" "$HELLO"; }
