import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.service.AiServices;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;

/** langchain4j. */
public class LangChain4j {
    static final String MODEL = "gpt-4.1", HELLO = "Say hello in one sentence.", WEATHER = "What is the weather in Oslo?";

    // settings:
    static OpenAiChatModel connect(String key) {
        return OpenAiChatModel.builder().baseUrl(System.getenv("AISA_BASE_URL") + "/v1").apiKey(key).modelName(MODEL).maxRetries(0)
            .supportedCapabilities(dev.langchain4j.model.chat.Capability.RESPONSE_FORMAT_JSON_SCHEMA).strictJsonSchema(true).build();
    }

    static OpenAiStreamingChatModel connectStreaming(String key) {
        return OpenAiStreamingChatModel.builder().baseUrl(System.getenv("AISA_BASE_URL") + "/v1").apiKey(key).modelName(MODEL).build();
    }
    // :settings

    static final String KEY = System.getenv("AISA_API_KEY");

    /** What a model may call. */
    public static class Tools {
        int called;

        @Tool(name = "get_weather", value = "Get the current weather of a city.")
        public String weather(String city) {
            called++;
            return "It is cold.";
        }
    }

    /** A city. */
    public record City(String name, int people) {}

    interface Cities {
        City named(String text);
    }

    interface Assistant {
        String answer(String text);
    }

    static String stream() throws Exception {
        var whole = new CompletableFuture<String>();
        connectStreaming(KEY).chat(HELLO, new StreamingChatResponseHandler() {
            public void onPartialResponse(String text) {}

            public void onCompleteResponse(ChatResponse response) {
                whole.complete(response.aiMessage().text());
            }

            public void onError(Throwable error) {
                whole.completeExceptionally(error);
            }
        });
        return whole.get();
    }

    static String tools() {
        var tools = new Tools();
        var text = AiServices.builder(Assistant.class).chatModel(connect(KEY)).tools(tools).build().answer(WEATHER);
        return tools.called == 1 ? text : "";
    }

    static String schema() {
        return AiServices.create(Cities.class, connect(KEY)).named("Name a city and how many people live there.").name();
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
        tell("plain", () -> connect(KEY).chat(HELLO));
        tell("stream", LangChain4j::stream);
        tell("tools", LangChain4j::tools);
        tell("schema", LangChain4j::schema);
        tell("bad_key", () -> connect("sk-nobody-has-this-key").chat(HELLO));
        System.exit(0);
    }
}
