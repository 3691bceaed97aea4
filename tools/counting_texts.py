"""Texts of six kinds for the table of counting. English and code are the project's own; the others are made up here."""

from __future__ import annotations

import json
import random
from pathlib import Path

ROOT = Path(__file__).parent.parent
BYTES = 60_000  # of each kind

CHINESE = """今天早上下了一场小雨,街道变得很干净。请把这份报告翻译成英文,并在周五之前发给我。我们需要先检查数据库的备份,然后再升级服务器。
这家餐厅的鱼很新鲜,但是价格有点高。机器学习模型的训练需要大量的数据和计算资源。会议改到下午三点,地点还是二楼的会议室。
他花了两年时间写完了这本关于茶叶历史的书。如果温度超过四十度,设备会自动关闭以保护电路。孩子们在公园里放风筝,老人们坐在树下聊天。
从北京到上海坐高铁大约需要四个半小时。这个函数返回一个列表,其中每个元素都是一个整数。昨晚的比赛非常精彩,主队在最后一分钟进球。
图书馆周一闭馆,其他时间从早上九点开到晚上八点。研究人员发现,睡眠不足会影响记忆力和判断力。请在付款之前仔细核对订单号码和收货地址。
山上的空气很清新,远处可以看到一片湖泊。新的规定从下个月一日起生效,所有员工都要参加培训。这道题的答案是三十六,因为六乘以六等于三十六。
她把旧照片整理好,放进一个红色的盒子里。天气预报说周末会降温,出门时要多穿一件衣服。合同一共有十二页,双方都需要在最后一页签字。"""

ARABIC = """هطل المطر هذا الصباح فأصبحت الشوارع نظيفة وهادئة. من فضلك ترجم هذا التقرير إلى الإنجليزية وأرسله قبل يوم الجمعة.
علينا أن نفحص النسخة الاحتياطية لقاعدة البيانات ثم نحدث الخادم. السمك في هذا المطعم طازج لكن السعر مرتفع قليلا.
يحتاج تدريب النماذج إلى كميات كبيرة من البيانات والموارد الحاسوبية. تأجل الاجتماع إلى الساعة الثالثة في القاعة نفسها بالطابق الثاني.
قضى عامين في كتابة هذا الكتاب عن تاريخ الشاي. إذا تجاوزت الحرارة أربعين درجة يتوقف الجهاز تلقائيا لحماية الدائرة.
يلعب الأطفال بالطائرات الورقية في الحديقة ويجلس الكبار تحت الأشجار. تستغرق الرحلة بالقطار من الإسكندرية إلى القاهرة ساعتين ونصف.
تعيد هذه الدالة قائمة كل عنصر فيها عدد صحيح. كانت مباراة الأمس مثيرة وسجل الفريق هدفه في الدقيقة الأخيرة.
المكتبة مغلقة يوم الاثنين وتفتح بقية الأيام من التاسعة صباحا حتى الثامنة مساء. وجد الباحثون أن قلة النوم تؤثر في الذاكرة والتركيز.
راجع رقم الطلب وعنوان التسليم جيدا قبل الدفع. الهواء في الجبل نقي ويمكن رؤية بحيرة من بعيد.
تسري القواعد الجديدة من أول الشهر المقبل وعلى جميع الموظفين حضور التدريب. الجواب ستة وثلاثون لأن ستة في ستة تساوي ستة وثلاثين."""

EMOJI = "😀😂🥰🎉🚀🌍🔥👍🏽👩‍💻🐍☕🌧️🍎📚✨💡🎵🏃‍♀️🇫🇷🤖❤️✅🧪🛠️"


def shuffled(text: str, end: str, chance: random.Random) -> str:
    """Return the sentences of a text in ever new orders."""
    sentences = [sentence.strip() + end for sentence in text.replace("\n", " ").split(end) if sentence.strip()]
    joined = ""
    while len(joined.encode()) < BYTES:
        joined += ("" if end == "。" else " ").join(chance.sample(sentences, len(sentences))) + "\n"
    return joined


def arguments(chance: random.Random) -> str:
    """Return arguments of tool calls, compact as models write them."""
    calls: list[str] = []
    while sum(map(len, calls)) < BYTES:
        options = {"recursive": chance.random() < 0.5, "depth": chance.randrange(9), "tags": chance.sample(["a", "new", "todo", "x1"], 2)}
        call = {
            "path": f"src/{chance.choice(['main', 'index', 'utils'])}_{chance.randrange(100)}.ts",
            "line": chance.randrange(1, 2_000),
            "options": options,
            "id": f"{chance.getrandbits(64):016x}",
            "score": round(chance.random(), 4),
            "query": " ".join(chance.sample("find all users who paid last month and order them by name".split(), 5)),
        }
        calls.append(json.dumps(call, separators=(",", ":")))
    return "".join(calls)


def files(pattern: str, folder: str) -> str:
    """Return files of the project, one behind the other."""
    return "".join([path.read_text() for path in sorted((ROOT / folder).glob(pattern))])[: 2 * BYTES]


def texts() -> dict[str, str]:
    """Return a text of each kind."""
    chance = random.Random(7)  # noqa: S311 - not secret, and the same each time
    return {
        "English": files("*.txt", "training/text"),
        "code": files("*.py", "src/aisa/wire"),
        "Chinese": shuffled(CHINESE, "。", chance),
        "Arabic": shuffled(ARABIC, ".", chance),
        "JSON arguments": arguments(chance),
        "emoji": "".join([chance.choice(EMOJI) + (" " if chance.random() < 0.3 else "") for _ in range(BYTES // 5)]),
    }
