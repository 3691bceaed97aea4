import com.anthropic.client.AnthropicClient;
import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.core.JsonValue;
import com.anthropic.helpers.MessageAccumulator;
import com.anthropic.models.messages.ContentBlock;
import com.anthropic.models.messages.ContentBlockParam;
import com.anthropic.models.messages.Message;
import com.anthropic.models.messages.MessageCountTokensParams;
import com.anthropic.models.messages.MessageCreateParams;
import com.anthropic.models.messages.Tool;
import com.anthropic.models.messages.ToolResultBlockParam;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

/** Anthropic's client for Java, which holds every answer against its types. */
public class Anthropic {
    static final String MODEL = "gpt-4.1", HELLO = "Say hello in one sentence.", WEATHER = "What is the weather in Oslo?";

    // settings:
    static AnthropicClient connect(String key) {
        return AnthropicOkHttpClient.builder().baseUrl(System.getenv("AISA_BASE_URL")).apiKey(key).responseValidation(true).build();
    }
    // :settings

    static final AnthropicClient CLIENT = connect(System.getenv("AISA_API_KEY"));

    /** A city. */
    public static class City {
        public String name;
        public int people;
    }

    static MessageCreateParams.Builder asked(String text) {
        return MessageCreateParams.builder().model(MODEL).maxTokens(200).addUserMessage(text);
    }

    static String text(Message message) {
        return message.content().stream().flatMap(block -> block.text().stream()).map(block -> block.text()).collect(Collectors.joining());
    }

    static String stream() {
        var whole = MessageAccumulator.create();
        try (var events = CLIENT.messages().createStreaming(asked(HELLO).build())) {
            events.stream().forEach(whole::accumulate);
        }
        return text(whole.message());
    }

    static String tools() {
        var city = Tool.InputSchema.Properties.builder().putAdditionalProperty("city", JsonValue.from(Map.of("type", "string"))).build();
        var takes = Tool.InputSchema.builder().properties(city).addRequired("city").build();
        var asked = asked(WEATHER).addTool(Tool.builder().name("get_weather").description("Get the weather.").inputSchema(takes).build());
        var message = CLIENT.messages().create(asked.build());
        var call = message.content().stream().filter(ContentBlock::isToolUse).findFirst().get().asToolUse();
        asked.addMessage(message);
        var result = ToolResultBlockParam.builder().toolUseId(call.id()).content("It is cold.").build();
        asked.addUserMessageOfContentBlockParams(List.of(ContentBlockParam.ofToolResult(result)));
        return text(CLIENT.messages().create(asked.build()));
    }

    static String schema() {
        var asked = asked("Name a city and how many people live there.").outputConfig(City.class).build();
        return CLIENT.messages().create(asked).content().get(0).text().get().text().name;
    }

    static String count() {
        return "" + CLIENT.messages().countTokens(MessageCountTokensParams.builder().model(MODEL).addUserMessage(HELLO).build()).inputTokens();
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
        tell("plain", () -> text(CLIENT.messages().create(asked(HELLO).build())));
        tell("stream", Anthropic::stream);
        tell("tools", Anthropic::tools);
        tell("schema", Anthropic::schema);
        tell("count", Anthropic::count);
        tell("bad_key", () -> text(connect("sk-nobody-has-this-key").messages().create(asked(HELLO).build())));
        tell("models", () -> CLIENT.models().list().data().get(0).id());
        System.exit(0);
    }
}
