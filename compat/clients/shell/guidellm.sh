# settings:
TARGET=(--target "$AISA_BASE_URL" --model gpt-4.1)
talk() { guidellm benchmark run "${TARGET[@]}" --backend-kwargs "{\"api_key\": \"$1\"}" --data data.jsonl --data-column-mapper '{"text_column": "prompt"}' --profile synchronous --max-requests 3; }
# :settings
export HF_HUB_OFFLINE=1
for n in 1 2 3 4; do echo "{\"prompt\": \"$HELLO\"}"; done > data.jsonl
stream() { talk "$AISA_API_KEY"; }
bad_key() { talk "$BAD_KEY"; }
