"""The rest of `mapping_rows.py`: what clients of each API send, and what they must get. Not a test."""

from __future__ import annotations

from mapping_rows import Rows

DOORS: Rows = {
    "Messages, requests": {
        "every header, version and beta of its clients": "messages_door:anthropic_gets_the_request_as_it_is_with_its_betas",
        "probes, and either place of a key": "messages_door:a_bearer_is_let_in_too_and_probes_are_answered",
        "counts and lists": "messages_door:the_official_client_counts_tokens_and_lists_models",
        "what Claude Code sends, for another vendor": (
            "messages_door:claude_codes_request_reaches_another_vendor_as_chat "
            "messages_door:how_to_answer_reaches_another_vendor_in_the_words_of_chat_completions "
            "messages_content:tools_that_anthropic_runs_and_members_that_it_alone_has_are_left_out"
        ),
        "marks for the cache, for Claude on Bedrock and nobody else": (
            "bedrock_marks:marks_on_system_tools_calls_and_results_are_points_for_claude "
            "bedrock_marks:a_marked_text_of_the_models_and_a_later_instruction_have_points_too "
            "bedrock_marks:everybody_else_gets_the_bytes_of_a_request_without_marks "
            "bedrock_marks:marks_that_move_on_change_nothing_else_of_an_agents_history "
            "bedrock_marks:what_was_read_and_written_is_told_to_the_client_and_billed_by_lifetime "
            "bedrock_marks:a_write_of_an_hour_without_a_price_is_refused_beforehand "
            "bedrock_marks:who_does_not_get_the_mark_is_asked_all_the_same"
        ),
        "pictures, documents, what tools show, and that they failed": (
            "messages_content:what_a_user_shows_is_a_part_of_a_message messages_content:what_a_tool_shows_stands_behind_all_results "
            "messages_content:that_a_tool_failed_reaches_models_whose_dialect_says_so"
        ),
        "what only Anthropic can be asked": ("messages_content:what_only_anthropic_can_be_asked_is_refused_to_others_and_never_left_out"),
        "tools, choices and texts that cannot be read": (
            "messages_content:a_clients_own_tool_that_cannot_be_read_is_refused_and_never_left_out "
            "messages_content:a_tool_written_for_another_api_is_told_whose_form_it_is "
            "messages_content:whatever_version_of_a_tool_anthropic_runs_is_left_out "
            "messages_content:what_says_how_to_answer_and_cannot_be_read_is_refused_by_its_place "
            "messages_content:what_only_a_user_can_show_or_nobody_knows_is_refused_wherever_it_stands"
        ),
        "signatures come back unchanged": (
            "messages_door:a_seal_of_this_accounts_is_the_thinking_that_it_stands_for_to_anthropic "
            "messages_door:thinking_that_is_not_this_accounts_is_left_out_for_anthropic "
            "door_matrix:thinking_goes_back_to_its_vendor_with_the_results_of_its_calls"
        ),
        "documents": "messages_door:the_official_client_gets_messages_streams_and_tools",
    },
    "Messages, answers": {
        "names, gapless blocks, one end": "messages_door:a_stream_has_names_gapless_blocks_and_one_end",
        "every member that a client looks for": "messages_door:every_member_that_its_clients_look_for_is_in_its_event",
        "read by its own client, whatever the vendor": "messages_door:any_vendors_parts_are_a_message_to_the_official_client",
        "a call that was cut is no call": (
            "messages_door:a_call_that_was_cut_is_no_call_without_arguments "
            "messages_door:a_call_that_was_cut_has_what_there_is_of_its_input_in_a_document"
        ),
        "failures after text and before it": (
            "messages_door:a_message_that_broke_off_is_an_error_and_costs_what_arrived "
            "messages_door:a_failure_before_the_first_word_has_its_true_status"
        ),
        "usage at the end where it comes late": "messages_door:chat_vendors_answer_messages_with_usage_at_the_end",
        "its own vendor's bytes pass": "messages_door:anthropics_bytes_pass_and_the_end_carries_the_bill",
        "a silence is filled with what clients ignore": "doors:a_silence_is_filled_with_what_the_clients_of_the_door_ignore",
        "refusals": "door_matrix:an_answer_has_its_text_and_its_end_in_the_words_of_the_door",
    },
    "Messages, errors": {
        "types and statuses": "messages_door:every_error_has_the_type_and_status_that_its_clients_know",
        "words that Claude Code mends itself by": "model_facts:a_bound_that_is_too_high_is_told_to_claude_code_as_it_understands_it",
        "its own client knows what is wrong": "messages_door:the_official_client_knows_what_is_wrong",
    },
    "Responses, requests of clients": {
        "texts and items, with and without type and id": (
            "responses_request:a_text_is_a_message_of_the_user responses_request:items_with_and_without_type_and_id_are_the_same"
        ),
        "what the system says, turns of the model, and what vendors' tools did": (
            "responses_request:what_the_system_says_at_the_beginning_is_one_message responses_request:a_turn_of_the_model_is_one_message "
            "responses_request:thinking_and_what_vendors_tools_did_are_left_out"
        ),
        "pictures, files and sound": (
            "responses_request:pictures_files_and_sound_are_carried "
            "responses_request:a_picture_that_a_tool_gave_back_is_shown_behind_all_results"
        ),
        "files by an address, which the Messages API and Gemini's have too": (
            "file_addresses:a_vendor_that_reads_addresses_is_given_it "
            "file_addresses:one_that_does_not_is_not_asked_and_the_client_is_told_the_way_out "
            "file_addresses:openrouter_reads_addresses_in_chat_completions file_addresses:gemini_reads_addresses_from_2_5_on "
            "file_addresses:a_file_by_its_data_is_what_it_was"
        ),
        "tools that are searched, deferred, or offered on the way": (
            "responses_request:a_search_for_tools_that_the_client_runs_is_a_function "
            "responses_request:a_search_for_tools_that_the_vendor_runs_is_left_out_and_all_tools_are_offered "
            "responses_request:tools_that_a_conversation_offers_on_its_way_are_offered_too "
            "responses_request:a_tool_that_must_be_called_is_offered_though_it_is_deferred"
        ),
        "shells and patches, which the client runs": (
            "responses_client_tools:each_is_offered_as_a_function_with_a_schema_behind_all_functions "
            "responses_client_tools:a_function_of_the_same_name_keeps_it responses_client_tools:each_can_be_asked_for "
            "responses_client_tools:a_shell_in_a_container_of_the_vendors_is_refused_with_the_way_out "
            "responses_client_tools:calls_and_their_outputs_are_a_functions_in_the_history "
            "responses_client_tools:an_older_shells_items_are_matched_by_whatever_id_they_have "
            "responses_client_tools:an_item_that_does_not_say_what_was_asked_is_refused_by_place"
        ),
        "what no vendor can mean": "responses_request:a_body_that_no_vendor_can_mean_is_refused_by_place",
        "tools, and those in namespaces": (
            "responses_request:tools_are_offered_under_one_name_each "
            "responses_request:a_long_name_in_a_namespace_is_short_for_models_and_the_same_in_every_turn"
        ),
        "tool_choice: every form": "responses_request:every_form_of_tool_choice_is_carried",
        "forms, effort, bounds": (
            "responses_request:the_form_of_the_text_and_how_to_think_are_carried "
            "responses_request:limits_of_a_model_are_told_in_this_protocols_names"
        ),
        "custom calls, and custom tools where there are functions alone": (
            "responses_request:custom_calls_and_their_results_are_carried responses_custom:a_custom_tool_is_a_function_of_one_text "
            "responses_custom:a_function_call_of_a_custom_tool_is_a_custom_call "
            "responses_custom:what_is_no_such_text_is_told_as_the_function_call_that_it_was "
            "responses_custom:a_chat_has_no_way_back_from_a_function responses_custom:a_custom_tool_is_called_whatever_the_dialect"
        ),
        "what needs kept responses": "responses_request:what_needs_kept_responses_is_refused_with_the_way_out",
        "what chat completions cannot say": "responses_request:what_chat_completions_cannot_say_is_refused_by_name_and_only_for_them",
        "seals in encrypted reasoning": "responses_request:seals_of_ours_come_back_with_the_turn_that_they_belong_to",
        "a cache key is a route": "route_order:a_named_cache_key_counts_before_the_words",
        "append-only": "responses_request:what_comes_later_changes_nothing_before_it",
    },
    "Responses, answers to clients": {
        "items, parts, whole output": (
            "responses_door:a_text_is_an_item_with_one_part responses_door:thinking_text_and_calls_are_items_one_after_the_other "
            "responses_door:whatever_parts_come_the_stream_keeps_its_promises"
        ),
        "calls in namespaces": "responses_door:a_name_without_its_namespace_is_still_that_tools",
        "calls of shells and of patches": (
            "responses_client_tools:a_call_of_a_shell_is_its_item_with_the_events_of_its_commands "
            "responses_client_tools:a_call_of_a_patch_is_its_item responses_client_tools:a_call_of_the_older_shell_is_its_item "
            "responses_client_tools:what_does_not_fit_is_told_as_the_function_call_that_it_was "
            "responses_client_tools:a_single_command_may_stand_for_a_list "
            "responses_client_tools:calls_stay_in_their_order_and_come_as_soon_as_they_are_whole "
            "responses_client_tools:a_call_that_was_cut_short_is_incomplete "
            "responses_client_tools:a_call_in_the_older_form_is_an_item_of_its_own_too "
            "responses_client_tools:a_call_costs_what_the_vendor_reported_and_the_client_hears_of_it_while_it_is_made "
            "responses_client_tools:who_leaves_before_a_call_is_whole_has_not_got_it "
            "responses_client_tools:a_call_that_takes_long_is_no_silence "
            "responses_client_tools:a_worker_does_its_work_whatever_the_dialect"
        ),
        "every member that a client looks for": "responses_door:every_event_has_all_that_clients_look_for",
        "a call in the older form": "responses_door:a_call_in_the_older_form_is_a_call",
        "what vendors seal is encrypted reasoning": "responses_door:a_seal_on_thinking_goes_with_it_and_alone",
        "incomplete": "responses_door:an_answer_that_was_cut_short_is_incomplete_and_so_is_its_last_item",
        "refusals, log-probabilities, notes": (
            "responses_door:a_refusal_is_a_part_of_the_message responses_door:log_probabilities_go_with_their_text_and_notes_behind_it"
        ),
        "a failure is two events": "responses_door:a_failure_inside_a_stream_is_two_events_of_which_every_client_reads_one",
        "codes that Codex knows": (
            "responses_door:the_code_of_a_failure_inside_a_stream_is_one_that_codex_knows "
            "responses_door:codex_does_not_wait_for_a_limit_that_no_retry_cures "
            "responses_door:a_refusal_has_the_status_and_the_code_that_its_clients_act_on"
        ),
        "usage, cache writes by class": (
            "responses_door:cache_writes_are_told_apart_by_how_long_they_last "
            "responses_calls:a_stream_costs_what_the_vendor_reported_and_says_so"
        ),
        "its own client": (
            "responses_client:a_stream_put_together_is_the_response_that_was_not_streamed "
            "responses_client:a_conversation_goes_on_with_the_items_of_the_answer"
        ),
    },
    "embeddings and completions": {
        "encodings": "embeddings:the_encoding_is_the_one_that_was_asked_for embeddings:a_vector_is_the_same_in_either_encoding",
        "texts, lists, ids of tokens, dimensions": (
            "embeddings:token_ids_and_dimensions_are_taken embeddings:vectors_of_another_length_than_was_asked_for_are_told "
            "embeddings:ids_of_tokens_are_refused_with_the_clients_setting_where_nobody_takes_them"
        ),
        "no empty list": "embeddings:an_answer_that_is_not_whole_is_a_failure_and_the_next_target_is_asked",
        "documents that only a lenient reader takes": (
            "lenient_documents:a_document_that_every_client_reads_is_an_answer_and_costs_what_it_reports"
        ),
        "prompts": (
            "completions:every_prompt_has_its_answers_and_what_best_of_leaves_out_is_paid_for "
            "completions:a_prompt_is_the_one_message_of_a_conversation_elsewhere"
        ),
        "streams of texts": "completions:a_stream_has_each_word_one_finish_and_usage_only_where_it_was_asked_for",
        "failures": "completions:a_failure_before_the_first_word_falls_back_and_after_it_is_an_error_event",
    },
    "Gemini's clients": {
        "both versions, either spelling": "gemini_door:googles_client_talks_to_the_embedded_model gemini_door:both_spellings_mean_the_same",
        "what its clients send": "gemini_door:what_googles_python_client_sends_is_a_chat_completion gemini_door:gemini_cli_is_answered",
        "a conversation, with sound, and results that find their calls": (
            "gemini_door:a_conversation_is_told_whole_and_each_result_finds_its_call"
        ),
        "schemas": "gemini_door:googles_schemas_become_json_schema",
        "how functions are called, and how to answer": (
            "gemini_door:every_mode_of_calling_has_its_choice gemini_door:how_to_answer_is_carried_over"
        ),
        "that a function failed, and what only Gemini can do": (
            "gemini_door:that_a_function_failed_reaches_models_whose_dialect_says_so "
            "gemini_door:what_only_gemini_can_do_is_refused_to_others"
        ),
        "calls are whole, and their finish is STOP": (
            "gemini_door:calls_come_whole gemini_door:a_call_that_was_cut_is_no_call "
            "gemini_door:calls_whose_arguments_come_in_turns_are_whole_and_in_their_order "
            "gemini_door:a_call_in_the_older_form_is_a_call"
        ),
        "finishes, thinking and usage": ("gemini_door:why_an_answer_ended_what_was_thought_and_what_was_cached_is_in_geminis_words"),
        "log-probabilities": "gemini_door:log_probabilities_of_other_vendors_are_told_in_geminis_words",
        "errors of every code": "gemini_door:every_error_has_googles_shape_a_number_and_a_status",
        "only lines of data, and no mark of the end": "gemini_door:a_stream_of_another_dialect_comes_in_geminis_events",
        "a silence": "gemini_door:a_silence_is_filled_with_empty_texts gemini_door:an_empty_text_is_borne_by_googles_client",
        "a failure inside is nothing but the error": "gemini_door:a_failure_after_text_is_an_event_of_nothing_but_the_error",
        "a failure before has its status": "gemini_door:a_failure_before_text_has_its_status_and_googles_shape",
        "keys and addresses": "gemini_door:addresses_and_keys_that_are_not_right_say_what_would_be",
        "signatures": "gemini_door:a_seal_travels_as_the_signature_of_the_next_call gemini_door:every_seal_of_an_answer_comes_back",
        "the rest of an answer": (
            "continuation:googles_own_clients_ask_for_the_rest_themselves "
            "gemini_door:what_only_google_keeps_or_knows_is_asked_of_nobody_else"
        ),
    },
    "chat completions": {
        "calls whole for Mistral's client": (
            "whole_calls:mistrals_own_client_reads_a_streamed_call_by_address_and_key_alone "
            "whole_calls:openais_client_reads_such_a_stream_too"
        ),
        "ids, models and indexes, always": "corpus:a_client_gets_what_the_case_says_however_the_vendors_bytes_arrive",
        "a failure is data with an error": "openai_errors:a_stream_that_fails_raises_after_what_was_said",
        "when to try again": "faults_client:a_client_is_told_whether_and_when_to_retry",
        "what no retry cures": (
            "responses_calls:an_empty_wallet_is_a_429_that_no_client_repeats blame:a_limit_that_lasts_for_hours_is_not_waited_for "
            "blame:one_request_above_the_limit_is_not_asked_again"
        ),
    },
    "legal sequences of every protocol": {
        "what vendors send, as their own clients read it": "sdk_judges:the_vendors_own_client_reads_the_sequence",
        "what we make of it at each door, as the door's clients read it": "sdk_judges:the_doors_client_has_what_the_vendors_client_has",
        "a call of a namespace, and one in one fragment": (
            "sdk_judges:a_tool_of_a_namespace_is_called_in_it_by_a_vendor_that_knows_none "
            "sdk_judges:a_call_in_fragments_comes_whole_to_who_asks_for_that"
        ),
    },
}
