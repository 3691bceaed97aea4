# settings:
export OPENAI_API_KEY=$AISA_API_KEY
ASKED="model=gpt-4.1,base_url=$AISA_BASE_URL/v1/chat/completions,num_concurrent=1,max_retries=1"
# :settings
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1
echo '{"question": "Say hello.", "answer": "Hello"}' > data.json
cat > hello.yaml <<'END'
task: hello
dataset_path: json
dataset_kwargs: {data_files: {test: data.json}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["END"], max_gen_toks: 30}
metric_list: [{metric: exact_match}]
END
talk() { lm_eval run --model local-chat-completions --model_args "$ASKED" --apply_chat_template --include_path . --tasks hello; }
plain() { talk | grep exact_match; }
bad_key() { OPENAI_API_KEY=$BAD_KEY talk; }
