# settings:
export OPENAI_API_BASE_URL=$AISA_BASE_URL/v1 OPENAI_API_KEY=$AISA_API_KEY
# :settings
export DATA_DIR=~/webui WEBUI_SECRET_KEY=s OFFLINE_MODE=true HF_HUB_OFFLINE=1 ENABLE_OLLAMA_API=false WEBUI_AUTH=false
export RAG_EMBEDDING_ENGINE=openai ANONYMIZED_TELEMETRY=false
PORT_HERE=18431
api() { curl -sS --max-time 60 "http://127.0.0.1:$PORT_HERE/$1" -H "Authorization: Bearer $(cat token)" -H 'content-type: application/json' "${@:2}"; }
with_it() {
  open-webui serve --host 127.0.0.1 --port $PORT_HERE > webui.log 2>&1 & local its=$!
  for _ in $(seq 150); do curl -sf "http://127.0.0.1:$PORT_HERE/health" > /dev/null && break; sleep 1; done
  curl -sS "http://127.0.0.1:$PORT_HERE/api/v1/auths/signin" -H 'content-type: application/json' -d '{"email":"","password":""}' | sed 's/.*"token":"\([^"]*\)".*/\1/' > token
  "$@"; local status=$?
  kill $its; wait $its 2> /dev/null
  return $status
}
asked() { api api/models > models.json; api api/chat/completions -d "{\"model\":\"embedded/tiny\",\"stream\":$1,\"messages\":[{\"role\":\"user\",\"content\":\"$HELLO\"}]}"; }
plain() { with_it asked false | grep '"content"'; }
stream() { with_it asked true | grep -c 'chat.completion.chunk'; }
models() { with_it api api/models | grep -o 'embedded/tiny' | head -1; }
bad_key() { with_it api openai/verify -d "{\"url\":\"$AISA_BASE_URL/v1\",\"key\":\"$BAD_KEY\"}"; }
