"""The rest of `mapping_rows.py`: the other dialects, and the vendors that speak OpenAI's. Not a test."""

from __future__ import annotations

from mapping_rows import Rows

BEDROCK: Rows = {
    "Bedrock, requests": {
        "the model's name is one segment of the path": "bedrock:the_model_is_one_segment_of_the_path",
        "a conversation, with results, thinking and marks for the cache": (
            "bedrock:a_conversation_is_in_converses_words bedrock:a_mark_for_the_cache_in_a_result_stands_behind_the_result "
            "bedrock:a_mark_for_the_cache_stands_behind_a_picture_too"
        ),
        "marks for the cache of Claude's: where, how many, for how long": (
            "bedrock_marks:a_point_stands_behind_what_is_marked_where_bedrock_takes_one "
            "bedrock_marks:the_mark_of_a_whole_request_is_a_point_behind_its_last_block "
            "bedrock_marks:of_more_than_four_marks_the_last_are_points "
            "bedrock_marks:a_model_whose_cache_lasts_five_minutes_is_not_asked_for_an_hour"
        ),
        "results that failed, and that are empty": "bedrock:a_result_of_nothing_says_so_and_one_of_a_failure_too",
        "ids of calls in letters that the model takes": "bedrock:ids_of_calls_are_in_letters_that_the_model_takes_and_stay_the_same",
        "instructions in place": "bedrock:later_instructions_stay_where_they_were",
        "pictures, files and sound as bytes": "bedrock:pictures_files_and_sound_are_blocks bedrock:parts_that_cannot_be_shown_are_named",
        "pictures by address": "bedrock:pictures_by_address_are_read_for_it_where_that_is_wanted",
        "tools": "bedrock:tools_are_declared_with_all_that_is_said_of_them",
        "tool_choice: every form": "bedrock:every_form_of_tool_choice_has_its_words",
        "one call at a time": (
            "bedrock:one_call_at_a_time_is_asked_of_claude_itself "
            "own_names:a_client_that_cannot_help_asking_for_one_call_at_a_time_is_served"
        ),
        "there is no `none`, and a history with calls needs its tools": (
            "bedrock:no_call_is_no_tool_but_a_history_with_calls_keeps_its_tools"
        ),
        "models that cannot be made to call": "bedrock:a_model_that_cannot_be_made_to_call_is_left_to_choose_and_the_caller_is_told",
        "functions and their results in the older form": (
            "bedrock:functions_of_the_older_api_are_called_and_answered bedrock/legacy-function-call bedrock/legacy-function-call-document"
        ),
        "bounds, sampling, stop, forms, service tiers": (
            "bedrock:how_to_answer_is_in_its_members bedrock/service-tier bedrock/service-tier-document"
        ),
        "members that only it has": "bedrock:what_is_bedrocks_own_passes",
        "thinking and effort": "bedrock:thinking_is_asked_for_as_the_model_takes_it",
        "thinking in the history": (
            "bedrock:thinking_with_its_signature_goes_back_block_for_block "
            "bedrock:a_prefix_that_had_to_change_is_asked_with_the_documented_way_out"
        ),
        "what it lacks": "bedrock:what_it_lacks_is_refused_by_name_or_left_out_and_told",
        "what AWS's model of the API takes": "bedrock_client:awss_model_of_the_api_takes_what_we_ask",
        "signatures, and a bearer": (
            "aws_credentials:our_signature_is_that_of_awss_own_library "
            "aws_credentials:a_key_that_is_a_bearer_token_needs_nothing_of_all_this"
        ),
    },
    "Bedrock, frames": {
        "both checksums": "bedrock:no_changed_byte_goes_unseen bedrock/a-flipped-bit-in-a-length bedrock/a-flipped-bit-in-a-payload",
        "headers of every type, frames of any length": (
            "bedrock:headers_of_every_type_are_passed_over bedrock:a_frame_over_the_limit_is_known_by_its_beginning"
        ),
        "a frame that was cut, and what is no stream": (
            "bedrock/cut-inside-the-last-frame bedrock/cut-inside-a-frame-of-text bedrock/error-in-place-of-an-answer bedrock/not-json"
        ),
        "exceptions and errors as frames": (
            "bedrock/error-after-text bedrock/error-frame bedrock/throttled-inside-the-stream bedrock/internal-inside-the-stream "
            "bedrock/wrong-inside-the-stream bedrock/error-as-the-first-event"
        ),
        "what AWS's reader reads": "bedrock_client:awss_reader_reads_the_frames_of_our_scripts",
    },
    "Bedrock, answers": {
        "text, with padding, streamed and whole": "bedrock/text bedrock/text-document",
        "starts that are empty, blocks without starts and stops": "bedrock/empty-starts bedrock/no-block-starts-or-stops",
        "calls": "bedrock/one-tool-call bedrock/parallel-tool-calls bedrock/tool-call-document bedrock/tool-call-without-arguments",
        "thinking": "bedrock/thinking-and-text bedrock/thinking-document bedrock/thinking-before-a-tool-call bedrock/redacted-thinking",
        "pictures, citations, results of its own tools": (
            "bedrock/a-picture bedrock/a-picture-in-a-document bedrock/citations bedrock/citations-document bedrock/own-tools-are-no-calls"
        ),
        "the report comes behind the stop, before it, or not at all": "bedrock/text bedrock/metadata-before-the-end bedrock/no-metadata",
        "stops": (
            "bedrock/stop-sequence bedrock/length bedrock/length-inside-a-call bedrock/context-window-exceeded "
            "bedrock/stop-without-a-reason bedrock/unknown-finish"
        ),
        "filters": "bedrock/refusal bedrock/refusal-document bedrock/guardrail",
        "malformed output is a failure": "bedrock/malformed-model-output-is-a-failure bedrock/malformed-tool-use-is-a-failure",
        "events that nobody knows": "bedrock/unknown-events-are-skipped",
    },
    "Bedrock, usage and errors": {
        "input is what was not cached; writes by how long they last": (
            "bedrock/cached-input bedrock/little-of-it-cached bedrock/cache-written bedrock/cache-written-by-class "
            "bedrock/cache-written-without-its-classes "
            "bedrock:a_stream_costs_what_bedrock_reported_by_class_of_cache"
        ),
        "the class stands in a header": (
            "bedrock/a-request-that-is-wrong bedrock/a-model-identifier-that-is-wrong bedrock/a-model-that-needs-a-profile"
        ),
        "every exception": (
            "bedrock/no-access-to-the-model bedrock/not-found bedrock/the-model-was-too-slow bedrock/the-model-failed "
            "bedrock/rate-limit bedrock/a-quota-of-the-service bedrock/not-ready bedrock/internal bedrock/overloaded "
            "bedrock/too-large"
        ),
        "who asks": "bedrock/our-key bedrock/our-signature bedrock/our-expired-token",
        "a prompt that is too long": "bedrock/context-too-long bedrock/input-too-long",
    },
}

RESPONSES: Rows = {
    "Responses, requests": {
        "messages, calls, results as items": (
            "responses_dialect:a_chat_is_asked_in_the_words_of_responses "
            "responses_dialect:what_both_apis_have_goes_along_and_every_kind_of_content_has_its_words"
        ),
        "functions are flat, strict only where that was said": "responses_dialect:a_chat_is_asked_in_the_words_of_responses",
        "custom tools, allowed tools, the older form": (
            "responses_dialect:custom_tools_allowed_tools_and_the_older_form_are_asked responses/custom-tool-call "
            "responses/legacy-function-call"
        ),
        "a bound below what can be asked": "responses_dialect:a_bound_below_what_can_be_asked_is_moved_and_told",
        "effort, verbosity, forms": "responses_dialect:a_chat_is_asked_in_the_words_of_responses",
        "nothing is stored; reasoning comes sealed and goes back": (
            "responses_dialect:a_request_of_this_protocol_passes_but_that_nothing_is_stored "
            "responses_dialect:reasoning_comes_back_sealed_by_the_client_or_from_memory "
            "responses_dialect:a_vendor_that_refuses_to_seal_is_asked_without"
        ),
        "the phase of a message goes back with it": "responses_dialect:the_phase_of_each_message_goes_back_with_it",
        "cache breakpoints of 30 minutes and 12 hours": (
            "responses_dialect:marks_for_the_cache_stay_on_their_parts responses/cache-written-by-class"
        ),
        "n, stop, seed, penalties, sound": "responses_dialect:what_this_api_cannot_do_is_refused_by_name_or_dropped",
        "members that only it has pass": "responses_dialect:a_request_of_this_protocol_passes_but_that_nothing_is_stored",
        "models that refuse on chat what was asked": "responses_dialect:openai_is_asked_where_it_will_not_refuse",
        "what OpenAI's types take": "responses_dialect:the_scripts_of_these_tests_are_what_openais_types_take",
    },
    "Responses, answers": {
        "text, streamed and whole": "responses/text responses/text-document",
        "calls, with their namespace": (
            "responses/one-tool-call responses/parallel-tool-calls responses/tool-call-document responses/tool-call-without-arguments "
            "responses/namespace-call"
        ),
        "refusals, log-probabilities, citations": (
            "responses/refusal responses/refusal-document responses/log-probabilities responses/citations"
        ),
        "thinking and its summaries": (
            "responses/thinking-and-text responses/thinking-document responses/thinking-before-a-tool-call "
            "responses/summary-of-several-parts"
        ),
        "several messages": "responses/several-messages",
        "arguments that come whole, as an object, or not at all": (
            "responses/arguments-whole-in-their-last-event "
            "responses_required:arguments_that_stand_in_their_last_event_alone_are_given "
            "responses/calls-that-are-given-nothing-and-an-object "
            "responses/calls-that-are-given-nothing-and-an-object-document"
        ),
        "pictures that the vendor's own tool made": "responses/a-picture responses/a-picture-in-a-document",
        "notes that only the whole item has": "responses/notes-told-with-the-whole-item-alone",
        "items without deltas, and nothing but the last event": "responses/items-without-deltas responses/only-the-last-event",
        "events that clients need and a vendor leaves out": (
            "responses_required:a_stream_without_what_clients_need_is_made_whole "
            "responses_required:a_chat_client_gets_calls_that_nobody_announced"
        ),
        "reasons for being incomplete": (
            "responses/length responses/length-inside-a-call responses/max-messages "
            "responses/content-filter responses/steered responses/incomplete-without-a-reason"
        ),
        "failures in every form": (
            "responses/error-after-text responses/error-as-the-first-event responses/flat-error-event responses/failed-document "
            "responses/error-in-place-of-an-answer"
        ),
        "an end without the last event": "responses/cut-after-text responses/cut-before-text",
        "events that nobody knows, and an end mark that is not needed": "responses/unknown-events-are-skipped responses/done-marker",
        "a document in place of a stream": "responses/document-in-place-of-a-stream",
    },
    "Responses, usage and errors": {
        "cached and thought tokens are inside": "responses/cached-input responses/thinking-and-text",
        "two classes of cache writes": "responses/cache-written responses/cache-written-by-class",
        "searches are billed beside tokens": "responses/searches-are-billed",
        "the tier of the answer": "responses/service-tier",
        "no report": "responses/no-usage",
        "codes of policy and place are the caller's": "responses/bio-policy responses/data-residency-mismatch",
        "our key, limits, overload, windows": "responses/our-key responses/rate-limit responses/overloaded responses/context-too-long",
        "what is no JSON": "responses/not-json",
    },
}

COHERE: Rows = {
    "Cohere": {
        "p, k, stop_sequences, seed, bounds of its numbers": (
            "cohere:the_request_is_in_coheres_words cohere:numbers_beyond_its_bounds_are_moved_to_them_and_told"
        ),
        "tool_choice is REQUIRED or NONE": "cohere:every_form_of_tool_choice_has_its_words",
        "strict tools": "cohere:strict_functions_are_strict_tools",
        "thinking with a budget, or off": "cohere:effort_is_a_budget",
        "forms": "cohere:the_form_of_an_answer_is_a_schema_there_too",
        "members that only it has": "cohere:what_is_coheres_own_passes",
        "pictures, and no sound and no files": (
            "cohere:a_conversation_stays_in_its_order_with_its_calls_and_pictures cohere:content_that_it_cannot_be_shown_is_never_left_out"
        ),
        "the older form": (
            "cohere:functions_of_the_older_api_are_called_and_answered cohere/legacy-function-call cohere/legacy-function-call-document"
        ),
        "what it lacks, service tiers among it": "cohere:what_it_lacks_is_refused_by_name_or_left_out_and_told",
        "a plan is thinking, and goes back": "cohere/thinking-before-a-tool-call cohere:what_a_model_planned_goes_back_with_its_calls",
        "thinking": "cohere/thinking-and-text cohere/thinking-document",
        "finishes": "cohere/text cohere/stop-sequence cohere/length cohere/length-inside-a-call cohere/one-tool-call cohere/unknown-finish",
        "finishes that are failures": (
            "cohere/finish-error cohere/finish-error-document cohere/finish-timeout cohere/finish-timeout-document cohere/error-in-the-end "
            "cohere/error-in-the-end-of-what-says-complete"
        ),
        "an end without its last event": "cohere/cut-after-text cohere/cut-before-text cohere/cut-inside-a-call",
        "errors as events": "cohere/error-after-text cohere/error-as-the-first-event cohere/overloaded-inside-the-stream",
        "calls": (
            "cohere/parallel-tool-calls cohere/tool-call-document cohere/tool-call-without-arguments "
            "cohere/arguments-of-a-call-that-was-not-begun"
        ),
        "citations": (
            "cohere/citations cohere/citations-document cohere/citations-of-thinking-are-not-shown cohere/citations-of-what-has-no-address"
        ),
        "log-probabilities": "cohere/log-probabilities cohere/log-probabilities-document",
        "what was processed is shown, what is billed is charged": (
            "cohere/billed-less-than-processed cohere/billed-alone cohere/counts-as-fractions cohere/no-usage "
            "cohere:usage_shows_what_was_processed_and_the_bill_is_of_what_is_charged"
        ),
        "cached tokens, searches": "cohere/cached-input cohere/searches-are-billed",
        "errors by status": (
            "cohere/our-key cohere/our-credit cohere/rate-limit cohere/overloaded cohere/context-too-long "
            "cohere/a-prompt-that-is-blocked cohere/a-model-that-is-not-there cohere/a-request-that-is-wrong cohere/a-deadline "
            "cohere/too-large"
        ),
        "embeddings say what texts are for": "embeddings:cohere_is_told_what_texts_are_for_and_bills_its_units",
        "what its client reads, and takes": (
            "cohere_client:coheres_client_reads_what_our_scripts_send cohere_client:coheres_client_knows_what_we_ask"
        ),
    },
}

MISTRAL: Rows = {
    "Mistral": {
        "only members that it knows, under its names": (
            "mistral:only_members_that_it_knows_are_sent_under_its_names "
            "mistral:no_member_that_it_does_not_know_is_left_inside_messages_and_tools"
        ),
        "parts and functions in its own words": "mistral:parts_in_its_own_words_and_all_that_is_said_of_a_function_stay",
        "ids of calls": "mistral:calls_have_ids_that_it_takes_and_that_stay_the_same",
        "sound and files": "mistral:sound_and_files_are_parts_of_its_own mistral:a_file_is_a_document_however_its_data_is_written",
        "tool_choice: every form": (
            "mistral:how_tools_are_to_be_called_is_said_in_its_words mistral:of_allowed_tools_only_those_are_offered"
        ),
        "functions without parameters, and the older form": (
            "mistral:a_function_without_parameters_has_none_there mistral:functions_of_the_older_api_are_tools_there "
            "mistral/legacy-function-call mistral/legacy-function-call-document"
        ),
        "service tiers": "mistral:a_service_tier_is_one_of_the_two_that_it_has mistral/service-tier",
        "what it lacks": "mistral:what_it_lacks_is_refused_by_name_or_left_out_and_told",
        "thinking in parts": "mistral/thinking-and-text mistral/thinking-document mistral/thinking-before-a-tool-call",
        "thinking goes back with the calls that it led to": (
            "mistral:what_was_thought_before_a_call_goes_back_with_it "
            "mistral:what_was_thought_is_sealed_into_the_answer_for_any_process_of_this_account "
            "mistral:each_choice_has_the_thinking_that_led_to_its_own_call"
        ),
        "calls come whole": (
            "mistral/one-tool-call mistral/parallel-tool-calls mistral/tool-call-document mistral/tool-call-without-arguments"
        ),
        "`error` is a failure, `model_length` is length": (
            "mistral/finish-error mistral/finish-error-document mistral/model-length mistral/length mistral/length-inside-a-call"
        ),
        "a message that is an object": "mistral/a-message-that-is-an-object",
        "errors": "mistral/our-key mistral/rate-limit mistral/overloaded mistral/context-too-long mistral/a-model-that-is-not-there",
        "what its client reads, and takes": (
            "mistral_corpus:mistrals_client_reads_what_our_scripts_send mistral_corpus:mistrals_client_knows_what_we_ask"
        ),
    },
}

OPENAI: Rows = {
    "vendors that speak OpenAI's language": {
        "OpenRouter: reasoning, details, cost, comments": "openai/openrouter-comments-reasoning-details-and-cost",
        "functions are tools where a vendor knows those alone": (
            "model_facts:functions_are_tools_where_a_vendor_knows_nothing_else "
            "model_facts:a_call_of_a_function_comes_back_as_one_from_a_vendor_that_knows_tools_alone"
        ),
        "OpenRouter: errors of every kind": (
            "openai/openrouter-200-with-an-error-body openai/openrouter-error-in-the-middle "
            "openai/openrouter-408-and-524-are-timeouts openai/openrouter-402-is-not-the-callers-bill "
            "openai/finish-reason-error-alone-is-a-failure"
        ),
        "vLLM: reasoning, token ids, stop reason": (
            "openai/vllm-reasoning-stop-reason-and-token-ids openai/vllm-fingerprint-on-the-usage-chunk-alone-is-kept"
        ),
        "vLLM: usage with every chunk": (
            "openai/cumulative-usage-on-every-chunk-is-sent-once openai/vllm-usage-chunk-without-nulls-when-it-was-asked-for"
        ),
        "vLLM: errors": (
            "openai/vllm-error-then-done openai/vllm-422-validation-without-an-error-member openai/vllm-400-with-a-number-as-code"
        ),
        "vLLM: a call by name that ends with stop": "openai/a-forced-call-by-name-that-finishes-with-stop-passes",
        "Ollama: an end without a finish": (
            "openai/ollama-end-without-finish-is-a-failure openai/ollama-reasoning-usage-and-role-in-every-chunk"
        ),
        "Ollama: the bound by its older name": "model_facts:a_bound_goes_by_the_name_that_the_model_knows",
        "DeepSeek: thinking goes back with calls": "model_facts:a_vendor_that_wants_thinking_back_gets_it_with_every_call_if_only_nothing",
        "DeepSeek: comments, blank lines, cache counts": (
            "openai/deepseek-keep-alives-blank-lines-and-cache-counts openai/deepseek-400-context-without-a-code"
        ),
        "Moonshot: thinking goes back with calls": "model_facts:a_vendor_that_wants_thinking_back_gets_it_with_every_call_if_only_nothing",
        "MiniMax: the whole message again at the end, thinking in details alone": (
            "openai/minimax-the-whole-message-again-in-the-last-event openai/the-whole-message-again-behind-calls "
            "openai/reasoning-details-alone-are-thinking openai/reasoning-details-alone-are-thinking-document"
        ),
        "Together: log-probabilities as one number and in lists": (
            "openai/together-one-number-as-logprobs openai/together-logprobs-in-lists"
        ),
        "Perplexity: the message so far beside each delta": "openai/perplexity-the-message-so-far-beside-each-delta",
        "Cerebras: the status beside an error": (
            "openai/cerebras-the-status-beside-an-error openai/cerebras-the-status-beside-an-error-in-the-middle"
        ),
        "xAI: words for effort": "model_facts:effort_of_a_model_that_always_reasons_is_one_of_its_words",
        "xAI: completions without reasoning": "openai/xai-completion-without-its-reasoning-is-recomputed",
        "xAI: keys that are absent until the end; whole calls": (
            "openai/finish-reason-absent-until-the-end openai/a-tool-call-that-arrives-whole-is-opened-then-sent"
        ),
        "Groq: usage and errors in a member of its own": "openai/groq-usage-in-x-groq openai/groq-error-in-x-groq",
        "Mistral: content in parts": "openai/mistral-content-parts-with-thinking",
        "content as one part, and pictures among parts": (
            "openai/content-as-one-part openai/content-as-one-part-document "
            "openai/pictures-among-the-parts-of-content openai/pictures-among-the-parts-of-content-document"
        ),
        "Azure: a first chunk without choices, filters": (
            "openai/azure-first-chunk-without-choices-or-id openai/azure-filter-results-in-an-empty-delta-are-kept "
            "openai/azure-400-content-filter"
        ),
        "Azure: addresses": "azure_addresses:the_deployment_is_in_the_path_of_a_dated_version_alone",
        "Gemini's own: calls without index, arrays of errors": (
            "openai/gemini-tool-calls-without-index-keep-their-thought-signature openai/gemini-200-with-an-error-array "
            "openai/gemini-429-in-an-array"
        ),
        "Anthropic's own: the index of a block": "openai/anthropic-compatible-tool-index-is-a-block-index",
        "llama.cpp: usage on the finish": "openai/llamacpp-usage-on-the-finish-chunk",
        "DashScope: the status of a failure stands in a comment": "openai/dashscope-the-status-in-a-comment-before-an-error",
        "DashScope: `null` as text is no finish": "openai/null-as-text-is-no-finish openai/a-cut-behind-null-as-text-is-a-failure",
        "zai-sdk: nulls": "chat_request:null_means_not_given",
        "roles, indexes, types, line ends that are missing or odd": (
            "openai/role-never-sent openai/tool-index-never-sent openai/tool-type-never-sent openai/crlf-line-ends "
            "openai/data-without-a-space openai/comments-are-not-passed-on openai/unknown-sse-fields-are-not-passed-on"
        ),
        "a total is the sum": "openai/a-total-that-is-too-small-or-missing-is-computed",
        "roles, ids and names that are repeated": (
            "openai/role-repeated-in-every-chunk openai/tool-id-repeated-in-later-fragments openai/tool-name-repeated-in-later-fragments"
        ),
        "facts of each vendor": "vendors:the_table_has_every_vendor_that_was_promised",
    },
    "what is tried again": {
        "what passes, at the same or the next target": "route_tries:a_target_that_passes_is_asked_again_after_a_growing_random_wait",
        "our credential, a model, a quota: the next target": "blame_relay:the_operators_fault_falls_back_and_is_loud",
        "a window that is too small: a larger one": "blame_relay:a_prompt_that_is_too_long_goes_only_to_a_window_that_holds_it",
        "what the caller must mend: nobody": "blame_relay:refused_content_reaches_no_second_vendor",
        "the client has left: the vendor is cancelled": "faults_client:a_client_that_leaves_after_a_token_cancels_the_vendor",
        "nothing behind the first piece": "route_tries:nothing_is_tried_again_behind_the_first_piece",
    },
}
