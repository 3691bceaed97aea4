# settings:
BACKEND=kind=openai_http,target=$AISA_BASE_URL,model=gpt-4.1,api_key=$AISA_API_KEY
# :settings
export HF_HUB_OFFLINE=1
for n in 1 2 3 4; do echo "{\"prompt\": \"$HELLO\"}"; done > data.jsonl
stream() {
  guidellm run --backend "$BACKEND" --profile kind=synchronous --constraint kind=max_requests,count=3 \
    --data kind=json_file,path=data.jsonl --disable-console-interactive 2>&1 | grep 'completed .* successful=3 errored=0'
}
