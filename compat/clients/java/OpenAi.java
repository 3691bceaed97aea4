import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.StructuredResponseCreateParams;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

/** OpenAI's client for Java, at chat completions and responses. */
public class OpenAi {
    static final String MODEL = "gpt-4.1", HELLO = "Say hello in one sentence.", WEATHER = "What is the weather in Oslo?";

    // settings:
    static OpenAIClient connect(String key) {
        return OpenAIOkHttpClient.builder().baseUrl(System.getenv("AISA_BASE_URL") + "/v1").apiKey(key).build();
    }
    // :settings

    static final OpenAIClient CLIENT = connect(System.getenv("AISA_API_KEY"));

    /** Get the current weather of a city. */
    public static class GetWeather {
        public String city;
    }

    /** A city. */
    public static class City {
        public String name;
        public int people;
    }

    static ChatCompletionCreateParams.Builder asked(String text) {
        return ChatCompletionCreateParams.builder().model(MODEL).addUserMessage(text);
    }

    static String said(ChatCompletionCreateParams asked) {
        return CLIENT.chat().completions().create(asked).choices().get(0).message().content().get();
    }

    static String stream() {
        try (var events = CLIENT.chat().completions().createStreaming(asked(HELLO).build())) {
            return events.stream().flatMap(chunk -> chunk.choices().stream()).flatMap(choice -> choice.delta().content().stream()).collect(Collectors.joining());
        }
    }

    static String tools() {
        var asked = asked(WEATHER).addTool(GetWeather.class);
        var message = CLIENT.chat().completions().create(asked.build()).choices().get(0).message();
        var call = message.toolCalls().get().get(0).asFunction();
        asked.addMessage(message);
        asked.addMessage(com.openai.models.chat.completions.ChatCompletionToolMessageParam.builder().toolCallId(call.id()).content("It is cold.").build());
        return said(asked.build());
    }

    static String schema() {
        var asked = asked("Name a city and how many people live there.").responseFormat(City.class).build();
        return CLIENT.chat().completions().create(asked).choices().get(0).message().content().get().name;
    }

    static String responses() {
        var answer = CLIENT.responses().create(ResponseCreateParams.builder().model(MODEL).input(HELLO).build());
        return answer.output().stream().flatMap(item -> item.message().stream()).flatMap(message -> message.content().stream())
            .flatMap(part -> part.outputText().stream()).map(text -> text.text()).collect(Collectors.joining());
    }

    static void tell(String does, Callable<String> tried) {
        String seen = "", failed = "";
        try {
            seen = tried.call();
            if (does.equals("bad_key")) failed = "nobody was told that the key is bad";
            else if (seen == null || seen.isEmpty()) failed = "it returned nothing";
        } catch (Throwable error) {
            if (does.equals("bad_key")) seen = error.toString();
            else failed = error.toString();
        }
        System.out.println("::{\"does\":\"" + does + "\",\"seen\":" + quoted(seen) + ",\"failed\":" + quoted(failed) + "}");
    }

    static String quoted(String text) {
        return '"' + text.replaceAll("[\\\\\"\\p{Cntrl}]", " ") + '"';
    }

    public static void main(String[] words) {
        tell("plain", () -> said(asked(HELLO).build()));
        tell("stream", OpenAi::stream);
        tell("tools", OpenAi::tools);
        tell("schema", OpenAi::schema);
        tell("responses", OpenAi::responses);
        tell("bad_key", () -> connect("sk-nobody-has-this-key").chat().completions().create(asked(HELLO).build()).id());
        tell("models", () -> CLIENT.models().list().data().get(0).id());
        System.exit(0);
    }
}
