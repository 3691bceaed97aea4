"""What is known of how vendors' words and ours map, a row each, and where it is proven: the dialects. Not a test.

A proof is a case (`anthropic/text` is a folder of the corpus) or a test (`cohere:every_form_of_tool_choice_has_its_words` is a function of
`test_cohere.py`, without its `test_`). `test_mapping_rows.py` finds a row without a proof, and a proof that is not there.
"""

from __future__ import annotations

#: what is mapped -> row -> proofs
Rows = dict[str, dict[str, str]]

ANTHROPIC: Rows = {
    "Anthropic, the version of its API": {
        "sampling is refused by the newest: the older is asked for": (
            "anthropic_request:a_plain_request_has_its_model_its_bound_and_its_headers"
        ),
        "models that take only the usual sampling": "anthropic_request:sampling_is_what_the_generation_takes",
        "one proof of who asks, and not two": "anthropic_calls:a_key_in_the_environment_is_enough",
        "generations and their limits by name": "anthropic_request:a_generation_is_known_by_its_name",
    },
    "Anthropic, requests": {
        "the bound on output is required": "anthropic_request:the_bound_is_the_clients_or_the_models",
        "more than the model writes": "anthropic_request:more_than_the_model_writes_is_refused_before_it_is_asked",
        "leading instructions, and later ones in place": (
            "anthropic_request:leading_instructions_are_the_system_and_later_ones_stay_in_place"
        ),
        "blank texts, and turns of one role": "anthropic_request:turns_of_one_role_are_one_and_blank_texts_are_none",
        "pictures and files, as data and by address": "anthropic_request:pictures_and_files_are_shown",
        "sound": "anthropic_request:what_these_models_cannot_be_shown_is_never_left_out_in_silence",
        "arguments are an object": "anthropic_request:arguments_that_are_no_object_are_told_as_they_were",
        "results in one turn, before the text": "anthropic_request:parallel_calls_are_answered_in_one_turn_before_what_is_said_there",
        "results that failed, that are empty, that have a mark for the cache": (
            "anthropic_request:a_result_says_that_the_tool_failed_has_its_mark_for_the_cache_and_stands_right_behind_the_call"
        ),
        "functions and their results in the older form": (
            "anthropic_request:the_older_form_of_calls_is_answered_by_ids_that_are_made_up_alike anthropic/legacy-function-call"
        ),
        "the end that a model goes on from": "anthropic_request:the_end_of_what_the_model_is_to_go_on_from_has_no_blanks",
        "tools, and those without parameters": "anthropic_request:tools_keep_their_order_and_a_tool_without_parameters_has_an_empty_schema",
        "tool_choice: auto, none, required, by name, allowed": "anthropic_request:every_form_of_tool_choice_has_its_words",
        "models that cannot be made to call": "anthropic_request:every_form_of_tool_choice_has_its_words",
        "one call at a time": "anthropic_request:one_call_at_a_time_is_asked_for_in_the_choice",
        "stop sequences": "anthropic_request:the_user_the_tier_and_the_marks_for_the_cache_arrive anthropic/stop-sequence",
        "temperature, top_p": "anthropic_request:sampling_is_what_the_generation_takes",
        "n, logprobs, penalties and the like": (
            "anthropic_request:a_parameter_without_a_form_there_is_the_callers_or_left_out "
            "anthropic_request:what_only_says_how_it_is_anyway_is_no_wish"
        ),
        "json_schema and json_object": (
            "anthropic_request:a_schema_is_enforced_as_far_as_the_vendor_can_and_the_rest_is_said "
            "anthropic_request:what_cannot_be_enforced_is_said_wherever_in_a_schema_it_stands"
        ),
        "effort in words and in budgets, and off": (
            "anthropic_request:effort_is_asked_in_the_words_of_the_generation "
            "anthropic_request:thinking_in_anthropics_own_words_is_as_the_generation_takes_it "
            "anthropic_request:a_budget_needs_room_and_the_thinking_before_it"
        ),
        "the user": "anthropic_request:the_user_the_tier_and_the_marks_for_the_cache_arrive",
        "service tiers and speeds": (
            "anthropic_request:a_faster_tier_is_a_speed_where_there_is_one "
            "anthropic_request:a_tier_that_is_another_vendors_is_moved_to_the_usual_one_and_told anthropic/service-tier anthropic/fast"
        ),
        "cache breakpoints of 5 minutes, 30 minutes, 1 hour, 12 hours": (
            "anthropic_request:the_user_the_tier_and_the_marks_for_the_cache_arrive "
            "anthropic_request:a_breakpoint_that_does_not_say_how_long_lasts_as_long_as_the_request_says "
            "anthropic/cache-written-by-class"
        ),
        "members and betas that only it has": "messages_door:anthropic_gets_the_request_as_it_is_with_its_betas",
        "what its client's types take": "anthropic_request:types_that_take_anything_would_prove_nothing",
    },
    "Anthropic, thinking in the history": {
        "blocks with their signatures, in place": "anthropic_request:thinking_comes_back_where_it_was_by_the_clients_hand_or_out_of_memory",
        "for a client that sends nothing back": (
            "anthropic_calls:thinking_that_led_to_a_call_goes_back_for_a_client_that_sends_nothing_back"
        ),
        "bound to what stands before it": "prefixes:what_was_written_at_a_turn_is_the_beginning_of_what_is_written_at_the_next",
        "the way out where that had to change": (
            "anthropic_request:a_target_that_refused_a_changed_prefix_is_asked_to_drop_what_no_longer_fits "
            "anthropic_calls:thinking_that_no_longer_fits_is_asked_to_be_dropped_and_the_call_goes_on"
        ),
        "for another vendor or account it is dropped": (
            "vendor_state:a_seal_opens_for_nobody_else_and_not_once_it_was_changed "
            "messages_door:thinking_that_is_not_this_accounts_is_left_out_for_anthropic"
        ),
        "redacted thinking": "anthropic/redacted-thinking",
        "thinking whose words are not shown": "anthropic/hidden-thinking",
    },
    "Anthropic, answers": {
        "text, streamed and whole": "anthropic/text anthropic/text-document",
        "calls, one and several, streamed and whole": "anthropic/one-tool-call anthropic/parallel-tool-calls anthropic/tool-call-document",
        "a call without arguments": "anthropic/tool-call-without-arguments",
        "thinking": "anthropic/thinking-and-text anthropic/thinking-document anthropic/thinking-before-a-tool-call",
        "tools that the vendor runs are no calls": "anthropic/own-tools-are-no-calls",
        "citations": "anthropic/citations anthropic/citations-of-several-texts",
        "end_turn, stop_sequence, pause_turn": "anthropic/text anthropic/stop-sequence anthropic/pause-turn",
        "max_tokens, and a window that is full": "anthropic/length anthropic/length-inside-a-call anthropic/context-window-exceeded",
        "refusals, with their explanation": "anthropic/refusal anthropic/refusal-document",
        "a reason that nobody knows": "anthropic/unknown-stop-reason",
        "ping is nothing": "anthropic/ping-is-nothing",
        "events and blocks that nobody knows, and events without a name": "anthropic/unknown-events-are-skipped anthropic/no-event-names",
        "several deltas of the message": "anthropic/several-message-deltas",
        "failures before and after the first word": "anthropic/error-as-the-first-event anthropic/error-after-text",
        "a second beginning is a failure": "anthropic/second-message-start",
        "a part of a block that was not begun": "anthropic/part-of-a-block-that-was-not-begun",
        "an end without the end of the message": "anthropic/no-message-stop anthropic/cut-before-text anthropic/cut-after-text",
        "a document in place of a stream": "anthropic/document-in-place-of-a-stream",
        "another of its models takes over": (
            "anthropic_calls:an_answer_that_another_model_of_the_vendors_took_over_is_that_models "
            "anthropic_handed_on:each_model_of_an_answer_that_was_handed_on_costs_its_own_price "
            "anthropic_handed_on:a_model_that_gave_up_before_it_made_anything_is_free "
            "anthropic_handed_on:what_a_model_made_that_gave_up_counts_where_the_sums_are_without_it_too "
            "anthropic_handed_on:what_a_model_wrote_to_the_cache_for_an_hour_before_it_gave_up_costs_that"
        ),
    },
    "Anthropic, usage": {
        "input is what was not cached": "anthropic/cached-input anthropic/cache-written",
        "cache writes by how long they last": "anthropic/cache-written-by-class",
        "reports that are restated, and that come late": (
            "anthropic/usage-restated-at-the-end anthropic/usage-restated-as-nothing anthropic/usage-at-the-end-only "
            "reports_alike:a_smaller_report_does_not_replace_a_larger_one "
            "reports_alike:an_input_of_anthropics_is_smaller_as_a_whole_or_not_at_all"
        ),
        "making the conversation shorter stands beside the sums": "anthropic/compaction-is-billed",
        "thinking is part of the output": "anthropic/thinking-and-text",
        "the price is that of the tier and speed of the answer": "anthropic/service-tier anthropic/fast",
        "to the nano-dollar": "anthropic_calls:a_complete_answer_costs_what_was_reported_by_class_of_cache",
    },
    "Anthropic, errors": {
        "a prompt that is too long, in the vendor's words": "anthropic/context-too-long anthropic/prompt-too-long-words",
        "a bound that is too high, in the vendor's words": "anthropic/max-tokens-words",
        "our key, our credit, our bill": "anthropic/our-key anthropic/our-credit-400 anthropic/billing-error",
        "not found, too large": "anthropic/not-found anthropic/too-large",
        "limits of rate, overload with either status": "anthropic/rate-limit anthropic/overloaded anthropic/overloaded-529",
        "an error in place of an answer, and what is no JSON": "anthropic/error-in-place-of-an-answer anthropic/not-json",
    },
}

GEMINI: Rows = {
    "Gemini, requests": {
        "addresses, of a stream and a document, and models in collections": (
            "gemini_request:the_model_is_in_the_path_and_cannot_leave_its_place_there"
        ),
        "leading instructions, and later ones in place": (
            "gemini_request:leading_instructions_are_the_systems_and_later_ones_stay_in_place "
            "gemini_request:instructions_alone_are_asked_as_the_user"
        ),
        "texts, and none that is empty": "gemini_request:empty_texts_are_left_out",
        "pictures, sound, films and files": (
            "gemini_request:pictures_sound_and_files_are_parts gemini_request:parts_that_cannot_be_read_are_named"
        ),
        "pictures by address": "gemini_request:pictures_by_address_are_read_for_it_where_that_is_wanted",
        "calls and results: names, ids, order": (
            "gemini_request:calls_and_their_results_have_ids_names_and_signatures "
            "gemini_request:a_result_that_answers_no_call_is_refused gemini_request:arguments_that_are_no_object_go_back_as_a_text"
        ),
        "pictures in results": "gemini_request:pictures_in_results_are_parts_of_the_result",
        "functions and their results in the older form": (
            "gemini_request:functions_of_the_older_api_are_called_and_answered gemini/legacy-function-call"
        ),
        "schemas": "gemini_request:schemas_lose_what_gemini_has_no_word_for",
        "tool_choice: auto, none, required, by name, allowed": (
            "gemini_request:every_form_of_tool_choice_has_its_mode gemini/call-forced-by-name"
        ),
        "strict functions": "gemini_request:strict_functions_are_validated",
        "tools that the vendor runs": "gemini_request:tools_that_google_runs_pass",
        "bounds, sampling, stop, seed, penalties, n, logprobs, forms": "gemini_request:how_to_answer_is_carried_over",
        "sampling of the generations that it is discouraged for": "gemini_request:sampling_that_google_advises_against_is_sent_and_told",
        "effort in levels and in budgets, by generation": "gemini_request:effort_is_a_level_or_a_budget_of_the_models_generation",
        "service tiers": "gemini_request:a_tier_that_google_does_not_have_is_the_usual_one gemini/service-tier",
        "speech and pictures in answers": "gemini_request:speech_and_pictures_are_asked_for",
        "what it lacks": "gemini_request:what_gemini_lacks_is_refused_by_name_or_left_out_and_told",
        "what its client's types take": "gemini:googles_client_knows_what_we_ask",
    },
    "Gemini, signatures": {
        "the first call of a step has one": "gemini_request:the_first_call_of_a_step_without_its_signature_gets_the_documented_stand_in",
        "sealed, or kept by the call": (
            "gemini_request:signatures_travel_sealed_or_are_kept_for_the_account_and_the_vendor_that_they_are_of"
        ),
        "refused ones are left out": (
            "gemini_request:signatures_that_were_refused_are_asked_without "
            "gemini:a_signature_that_is_refused_is_left_out_once_and_only_for_that_call"
        ),
        "on an empty last text": (
            "gemini/a-signature-on-an-empty-last-text-is-no-output gemini_request:the_signature_of_a_text_goes_back_behind_it"
        ),
        "append-only": "gemini_request:a_conversation_is_always_written_as_the_same_bytes",
    },
    "Gemini, answers": {
        "text, streamed and whole": "gemini/text gemini/text-document",
        "thinking": "gemini/thinking-and-text gemini/thinking-document gemini/thinking-before-a-tool-call",
        "calls whole, without ids, without arguments": (
            "gemini/one-tool-call gemini/parallel-tool-calls gemini/tool-call-document gemini/tool-call-without-arguments "
            "gemini/no-role-no-index-no-ids"
        ),
        "arguments in pieces": "gemini/arguments-in-pieces-are-one-object gemini/arguments-in-pieces-end-with-the-answer",
        "pictures, sound, code that ran": "gemini/a-picture gemini/sound-in-a-document gemini/code-that-google-ran-is-carried",
        "tools that the vendor runs are no calls": "gemini/own-tools-are-no-calls",
        "citations": "gemini/citations gemini/what-was-looked-up-in-every-event-is-cited-once gemini/what-was-quoted-is-cited",
        "log-probabilities": "gemini/log-probabilities gemini/log-probabilities-in-a-document",
        "several candidates": (
            "gemini/two-candidates gemini/two-candidates-in-a-document gemini/a-candidate-that-nobody-asked-for-is-dropped"
        ),
        "the finish says STOP of calls too": "gemini/one-tool-call",
        "MAX_TOKENS": "gemini/length gemini/length-inside-a-call",
        "every reason that is a filter's": (
            "gemini/refusal gemini/refusal-document gemini/finish-recitation gemini/finish-blocklist gemini/finish-prohibited-content "
            "gemini/finish-spii gemini/finish-image-safety gemini/finish-image-recitation gemini/finish-language "
            "gemini/finish-model-armor gemini/finish-escalation gemini/finish-pup-limited-disabled"
        ),
        "every reason that is a failure": (
            "gemini/finish-malformed-function-call-is-a-failure gemini/a-malformed-call-in-a-document-is-a-failure "
            "gemini/finish-malformed-response-is-a-failure gemini/finish-unexpected-tool-call-is-a-failure "
            "gemini/finish-too-many-tool-calls-is-a-failure gemini/finish-missing-thought-signature-is-a-failure"
        ),
        "an answer in several parts": (
            "gemini/an-answer-in-two-parts gemini/an-answer-in-two-parts-as-documents gemini/a-call-and-citations-in-the-second-part "
            "gemini/finish-continuation-is-a-failure continuation:a_stream_in_two_parts_is_one_answer_at_the_cost_of_both "
            "continuation:a_last_part_that_reports_nothing_is_counted_beside_what_the_others_told"
        ),
        "OTHER, NO_IMAGE, IMAGE_OTHER, and what nobody knows": (
            "gemini/finish-other gemini/finish-no-image gemini/finish-image-other gemini/an-unknown-finish-after-text-is-a-stop "
            "gemini/an-unknown-finish-of-nothing-is-a-failure"
        ),
        "a prompt that was blocked, for any reason": (
            "gemini/a-blocked-prompt gemini/a-blocked-prompt-in-a-document gemini/a-blocked-prompt-with-words"
        ),
        "an end without a finish": "gemini/cut-after-text gemini/cut-before-text gemini/a-cut-inside-an-event-is-a-failure",
        "an array in place of a stream": "gemini/an-array-where-a-stream-was-asked gemini/an-error-where-a-stream-was-asked",
        "what its client reads": "gemini:googles_client_reads_what_our_scripts_send",
    },
    "Gemini, usage": {
        "candidates without thinking, and with": (
            "gemini/thinking-and-text gemini/thinking-inside-the-candidates gemini/thinking-without-a-total"
        ),
        "what tools gave is input": "gemini/tokens-of-tools-are-input gemini/tokens-of-films-and-of-what-tools-showed",
        "cached input, kinds of token": ("gemini/cached-input gemini/tokens-by-modality gemini/tokens-of-films-and-of-what-tools-showed"),
        "reports with every event, without counts, and none": "gemini/a-report-without-counts-is-none gemini/no-report-is-counted",
        "the tier of the traffic": "gemini/service-tier",
        "embeddings report nothing": "embeddings:gemini_is_asked_for_a_batch_and_its_tokens_are_estimated",
    },
    "Gemini, errors": {
        "the wait stands in the details": "gemini/rate-limit",
        "the quota of a day": "gemini/a-quota-of-a-day blame:the_quota_of_a_day_is_not_waited_for_at_gemini",
        "a key that is a 400, a place, a permission": (
            "gemini/our-key gemini/a-location-is-the-operators gemini/access-denied-is-the-operators"
        ),
        "not found, overload, deadline": (
            "gemini/a-model-that-is-not-there gemini/a-vertex-model-that-is-not-there gemini/overloaded gemini/a-deadline"
        ),
        "inside a stream, at its beginning, in place of an answer": (
            "gemini/error-after-text gemini/error-as-the-first-event gemini/error-in-place-of-an-answer"
        ),
        "a prompt that is too long, a request that is wrong": "gemini/context-too-long gemini/a-request-that-is-wrong",
    },
}
