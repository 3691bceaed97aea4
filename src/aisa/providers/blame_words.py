"""The words by which refusals are recognised, class by class: what vendors say, as patterns. Says nothing of what follows from them.

All are searched in a report's own words: in lower case, without addresses and without what the vendor quotes. They are rules of grammar
(who, and what is wrong with it) rather than lists of sentences, because vendors reword.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aisa.providers.overflow import RATE

#: Tells whether words say something.
Says = Callable[[str], object]


def words(*alternatives: str) -> Says:
    """Return what finds any of the alternatives."""
    return re.compile("|".join(alternatives)).search


SAME = r"[^.;\n]"  # within one sentence
CREDENTIAL = (
    r"(?:api[ _-]?keys?|apikeys?|(?:access|auth|authentication|authorization|bearer|security|api|id)[ _-]tokens?|credentials?"
    r"|authorization header|secret key"
    r"|x-api-key)"
)
NOT_GOOD = (
    r"(?:not (?:a )?(?:\w+ )?(?:valid|found|provided|recogni[sz]ed|authori[sz]ed|active|configured|correct|match)|in-?valid"
    r"|incorrect|wrong|unknown|expired"
    r"|missing|revoked|disabled|deactivated|malformed|rejected|no longer|does ?n[o']t exist|required|leaked|blocked|out of date"
    r"|suspended|banned|deleted|inactive|must be (?:set|provided|sent|given|supplied))"
)
KEY_WORDS = words(
    rf"\b{CREDENTIAL}\b{SAME}{{0,60}}\b{NOT_GOOD}\b",
    rf"\b{NOT_GOOD}{SAME}{{0,40}}\b{CREDENTIAL}\b",
    rf"\b(?:no|did ?n[o']t (?:provide|send|include)|without)(?: \w+){{0,3}} {CREDENTIAL}\b",
    r"\bauthentication (?:failed|fails|failure|error|required)\b|\bnot authenticated\b|\bunauthenticated\b|\blogin fail"
    r"|\binvalid authentication\b",
    r"\b(?:your|this) ip\b|\bip address\b[^.;\n]{0,40}\b(?:not|blocked|denied)",
    r"(?:密钥|令牌|apikey|api key).{0,20}(?:无效|错误|过期|不存在)|鉴权失败|身份验证失败|认证失败",
)
#: Who we are, and from where, may not: nothing that a field of a request could cure.
ACCESS_WORDS = words(
    rf"\b(?:country|region|territory|location)\b{SAME}{{0,60}}\b(?:not (?:supported|available|allowed)|unsupported|restricted|blocked)\b",
    r"\bnot (?:supported|available|allowed) in your (?:country|region|territory|location)\b",
    rf"\b(?:organi[sz]ation|workspace|project|team|subscription|tenant)\b{SAME}{{0,60}}\b(?:disabled|deactivated|terminated|banned"
    rf"|blocked|locked|restricted|suspended|not active"
    r"|inactive|must be verified|not verified|not found)\b",
    r"\bnot (?:allowed|enabled|available|authori[sz]ed) for (?:this|your) (?:account|organi[sz]ation|workspace|project|subscription)\b",
    r"\baccount (?:\w+ ){0,2}not have (?:access|permission) to (?:this|the) (?:api|service|endpoint)\b",
)
#: The caller's own fields and tools may have such names, and what counts tokens is no credential.
NO_KEY_WORDS = words(
    r"\bmax_?\w*tokens|\btokens? (?:count|limit)|\b(?:input|output|prompt|completion) tokens?\b",
    r"\b(?:unknown|unrecogni[sz]ed|unexpected|unsupported|extra|additional|missing) (?:request |required )?(?:parameter|argument"
    r"|field|input|propert|member|option)",
    r"\btool(?:'s)? (?:argument|input|parameter)|\btool call validation\b|\bdid not match schema\b|\binput schema\b",
    rf"\b(?:schema|property|properties|parameter|argument|field|tool|function|member|attribute)s?\b{SAME}{{0,60}}[\"'`]{CREDENTIAL}[\"'`]",
)
CREDIT_WORDS = words(
    r"\bcredit balance\b|\binsufficient[ _-](?:\w+ ){0,2}(?:balance|credits?|funds|quota)\b",
    r"\b(?:balance|credits?|funds|prepayment|quota)\b(?: \w+){0,2} (?:too low|insufficient|not enough|not sufficient|exhausted"
    r"|depleted|used up|negative|empty|expired)\b",
    r"\b(?:not enough|no|out of|ran out of|run out of|used (?:up )?all(?: of)?(?: (?:your|its|the))?|no more|exhausted|depleted"
    r"|lacks?)(?: \w+){0,3} (?:credits?|balance|funds)\b",
    r"\brecharge|\btop(?:ping)?[ -]?up\b|\bbilling (?:details|information|status|issue|is not|not)|\bcheck your (?:plan|billing)"
    r"|\benable billing\b|\bpayment instrument\b|\bfree (?:tier|quota|allocation)\b[^.;\n]{0,40}\bexhausted\b"
    r"|\bpayment required\b|\bunpaid\b",
    r"\b(?:credits?|balance|funds)\b(?: \w+){0,3} (?:run|ran) out\b|\bwallet\b(?: \w+){0,2} (?:empty|insufficient|negative|too low)\b"
    r"|\b(?:add|no|missing|update|requires?|provide)(?: \w+){0,3} payment method\b"
    r"|\bpayment method\b(?: \w+){0,2} (?:required|missing|declined|expired|failed|invalid)\b",
    r"\b(?:exceeded|exhausted|reached|hit|over)(?: your| the| its| their| this)?(?: \w+){0,3} (?:quota|spend(?:ing)? (?:limit|cap)"
    r"|budget|usage limits?|credit limit|credits)\b",
    r"\b(?:budget|spend(?:ing)? (?:limit|cap)|credit limit|usage limit) (?:has been |was |is )?(?:exceeded|reached|exhausted)\b",
    rf"\baccount\b{SAME}{{0,80}}\b(?:good standing|suspended|overdue|arrears|arrearage|past due|not active|inactive|deactivated"
    rf"|disabled|frozen|banned|terminated)\b",
    r"\b(?:requires?|needs?) more credits\b|\bonly afford\b|\bkey limit exceeded\b|\bsubscription\b[^.;\n]{0,40}\b(?:expired"
    r"|inactive|cancell?ed|lapsed|ended)\b",
    r"(?:\bnot|n't) have (?:enough|sufficient|any)(?: \w+){0,2} (?:credits?|balance|funds)\b",
    r"\blimited to [\d,]{1,12} (?:\w+ ){1,3}(?:/|per|a) ?month\b"
    r"|\bused up(?: \w+){0,3} (?:allocation|allowance|quota)\b",
    r"\bfree trial (?:\w+ ){0,2}(?:ended|expired|over)\b|\brequires an? (?:\w+ ){0,2}subscription\b",
    r"欠费|余额不足|充值|额度(?:不足|失败|已用完)",
)
QUOTA_WORDS = words(r"\bquota (?:\w+ ){0,2}(?:exceeded|exhausted|reached)\b|\bout of quota\b")
#: A limit on a rate ends by waiting; that is no empty account. Neither is it one that was charged nothing. Google quotes which limit it is.
NO_CREDIT_WORDS = words(
    RATE.pattern,
    r"\bquota metric\b",
    r"\bno (?:credits?|funds|balance)\b(?: \w+){0,2} (?:charged|deducted|used|consumed|spent)\b",
)
RATE_WORDS = words(
    RATE.pattern,
    r"\btoo many (?:concurrent |simultaneous )?requests\b|\bthrottl|\bslow down\b|\bconcurren\w+ (?:\w+ ){0,2}(?:limit|exceeded)",
    r"\btoo (?:quickly|fast|frequent\w*)\b|\brequest rate\b|限流|并发|频率|速率|频繁",
)

AUX = (
    r"(?:,? (?:is|was|are|has|have|been|be|does|do|did|could|can|cannot|currently|either|you (?:requested|specified)"
    r"|(?:that )?(?:is |was )?(?:requested|specified|provided|given|asked for)))*"
)
GONE = (
    r"(?:(?:not|n't)(?: \w+){0,2}? (?:exist|found|valid|recogni[sz]ed|known|served|deployed|loaded|installed|listed|registered"
    r"|accessible|offered)|not exist|unknown|invalid|decommissioned"
    r"|deprecated|disabled(?! (?:for|on|by|in) )|retired|discontinued|removed|sunset|shut ?down|no longer|unavailable to"
    r"|not available(?! (?:at|right|now"
    r"|currently|temporarily))|not supported(?:$|[.,;!]|\s+[^a-z\s]| as| any| yet)|not be found"
    r"|(?:reached )?(?:its |the )?end[- ]of[- ]life)"
)
#: The name that we sent stands as % in the words.
MODEL_WORDS = words(
    rf"(?:\bmodels?(?: name| id| code| identifier| version)?"
    rf"|%)[\"'`\])]*(?: ?[:=]? ?[\"'`(\[]?%(?:[:@][\w.-]{{1,60}})?[\"'`)\]]*)?:?{AUX},? {GONE}",
    r"\b(?:unknown|invalid|unsupported|nonexistent|non-existent|unrecogni[sz]ed|no such|wrong|undefined|unavailable) models?"
    r"\b(?! (?:parameter|param|output|response|config|request|input|argument|setting|call))",
    r"\bnot a (?:valid|known|supported) model\b|\bno models? (?:named|called|with|found|matche?s?)\b|\b(?:could ?n[o']t|cannot"
    r"|can't|unable to) (?:find|locate|load|access) (?:the |a )?(?:non-serverless )?(?:model|%)",
    r"(?:\bnot|n't) have access to (?:the |this )?(?:model|[\"'`]?%)|\bno access to (?:the |this )?model|\bmodel access is denied\b",
    r"\bno (?:\w+ )?(?:endpoints?|channels?|providers?|deployments?|route)(?: \w+){0,2} for (?:model )?[\"'`]?%"
    r"|\bdeployment\b[^.;\n]{0,40}\bnot exist",
    r"[\"'`=]%[\"'`]?[^\n]{0,200}\b(?:pinned|not served)\b|\bpinned\b[^\n]{0,300}[\"'`=]%|\brequested:? ?[\"'`]%",
    r"\binvocation of model\b[^\n]{0,200}\bon-demand throughput is ?n.t supported\b",
    r"\bnot a chat model\b|\bonly supported in v1/|\bnot allowed to (?:use|access|sample from) (?:\w+ ){0,2}(?:model\b|[\"'`]?%)",
    r"模型.{0,20}(?:不存在|未找到|下线|停用)",
)
ADDRESS_WORDS = words(
    r"\binvalid url\b|\bunknown (?:url|endpoint|route|path)\b|\b(?:url|route|path|page|endpoint) (?:\S+ )?(?:was )?(?:not found"
    r"|does not exist|not be found)\b|\bcannot (?:post|get) /"
    r"|\bno (?:route|handler)\b|\bmethod not allowed\b"
)
#: What a message begins with before its own words: names of errors by those that pass it on, and who it is about.
HEAD = (
    r"^(?:(?:(?:provider|vendor|upstream|api|http|returned|an?) ){0,3}(?:[\w.]{0,60}(?:error|exception)|bad ?request)(?: code:? ?\d{3})?"
    r"(?: ?[:-] ?)){0,4}(?:(?:the|this|your|an?|requested|specified|provided|given|request|uses) ){0,5}"
)
#: Where the operator has the vendor asked: no word of a request says which version of an API that is. So only what a message begins with
#: says it: behind that vendors quote what they refuse, without marks too.
VERSION_WORDS = words(
    rf"{HEAD}api[- ]versions? (?:is |are )?(?:not |un|in)(?:supported|valid)",
    rf"{HEAD}(?:unsupported|invalid|unknown|missing) api[- ]version\b",
    rf"{HEAD}missing required query parameter\b",
    rf"{HEAD}(?:(?:model|deployment) )?(?:\S{{1,100}} )?(?:is )?enabled only for api[- ]versions?\b",
    rf"{HEAD}url error\b",
)
CONTENT_WORDS = words(
    rf"\b(?:violat\w+|flagged|breach\w*|contraven\w+){SAME}{{0,100}}\b(?:polic(?:y|ies)|guidelines?|terms|safety|rules|standards)\b",
    rf"\b(?:polic(?:y|ies)|guidelines?|terms|safety){SAME}{{0,60}}\b(?:violat\w+|flagged|breach\w*)",
    r"\b(?:usage|content|safety|acceptable use|responsible ai|community) (?:polic|guideline)|\bmoderation\b"
    r"|\bsafety (?:check|system|filter|reasons)"
    r"|\bcontent (?:management|filter)",
    r"\b(?:inappropriate|harmful|sensitive|unsafe|prohibited|disallowed|objectionable|illegal|nsfw|sexual|violent|hateful|toxic|abusive"
    r"|offensive) (?:\w+ ){0,2}(?:content"
    r"|material|information|data|words|text|input)",
    r"\b(?:unsafe|harmful|inappropriate|toxic|abusive|sexual|hateful) (?:prompt|request|message|image|conversation)s?\b",
    r"\b(?:prompt|input|request|content|message|image)s?\b[^.;\n]{0,30}\b(?:rejected|refused|blocked|denied)\b[^.;\n]{0,40}"
    r"\b(?:harmful|unsafe|inappropriate|toxic|csam|hate|hateful|violence|self[- ]harm|sexual)\b",
    r"\bcontent exists risk\b|\bhigh risk\b|\b(?:blocked|rejected|refused|filtered)\b[^.;\n]{0,40}\b(?:safety"
    r"|content polic|filters?|censor)|\bcensor",
    r"\b(?:prompt|input|request|message|text|image|conversation)s? (?:\w+ ){0,3}flagged\b|\b(?:prompt|input|content|message)s?"
    r" (?:(?:is|was|were|has|have|been|you|submitted|sent) ){0,4}(?:blocked|filtered|sensitive)\b",
    r"\bguardrails?\b[^.;\n]{0,60}\b(?:block|interven|trigger|violat|reject|refus)|\b(?:by|failed|violat\w+)\b[^.;\n]{0,30}\bguardrail",
    r"\b(?:input|output) (?:new_)?sensitive\b|敏感|违规|不安全|违反",
)
#: A member of the request that asks for moderation has such a name.
NO_CONTENT_WORDS = words(
    r"\b(?:parameter|argument|field|input|property|key|member|option|name)s?(?: \w+){0,2}:? ?[\"'`(\[]*moderation\b",
    r"[\"'`]moderation[\"'`]",
)
FEATURE_WORDS = words(
    r"\bextraneous key\b",
    r"(?:\bnot|n't|\bno) (?:\w+ )?support|\bunsupported\b|\bno endpoints?(?: \w+){0,2} that (?:can )?(?:support|handle)"
    r"|\bonly supports?\b|\bnot implemented\b",
    r"\bextra inputs?\b|\b(?:unknown|unrecogni[sz]ed|unexpected|additional|extra|undeclared) (?:request |keyword )?(?:parameter"
    r"|argument|field|input|propert|key|member|name|attribute|option)",
    rf"\b(?:parameter|argument|field|property|propert(?:y|ies)|option){SAME}{{0,80}}(?:(?:\bnot|n't) (?:\w+ )?(?:allowed|permitted"
    rf"|recogni[sz]ed|known|accepted|available|expected)|forbidden|unknown)\b",
    rf"\b(?:response_format|json_schema|tool_choice|parameter|feature|format|mode){SAME}{{0,40}}\b(?:is|are) (?:not |un)available\b",
    r"\bstreaming is required\b|\bonly (?:be )?(?:used|works?|available) (?:with|in|for) stream",
    r"\bunknown name\b|\bextra_forbidden\b|\bnot (?:available|allowed|permitted|enabled|compatible|possible|valid) (?:for|with|on"
    r"|in|by) (?:this|the|that) (?:model|endpoint|version|engine)|\bdeprecated for (?:this|the) model",
    r"\b(?:cannot|can't|can not) be used with (?:this|the) model|\bnot enabled\b|\bnot a (?:multi-?modal|vision|reasoning|tool)\b",
    r"(?:\b(?:can)?not|n't) (?:accept|handle|process|take) (?:any )?(?:images?|pictures?|audio|videos?|files?|documents?|tools?"
    r"|functions?|media)\b",
    r"[`'\"][\w.\[\]]{1,80}[`'\"] (?:is|are) (?:not (?:permitted|allowed|accepted)|forbidden)\b",
)
#: What a model, or the server that runs it, was not made or started for: so said that no other fault is meant, whatever the status.
LACKING_WORDS = words(
    rf"\b(?:image|audio|video|vision|multi-?modal|tool|function){SAME}{{0,30}}\b(?:is|are) (?:not supported|disabled (?:for|on|by|in) )",
    r"\bat most 0 \w+|\bmissing data required for \w+ input\b|\bunknown (?:content |message )?(?:part|block|tool) type\b",
    r"\brequires? [^.;\n]{0,40}--[a-z]",  # an option of its command line
    r"\bonly (?:supported|available|enabled) (?:by|for|in|on|with) (?:\w+ ){0,3}models?\b|\bmodel only (?:works|runs|operates)\b",
    r"\bexpected last role\b|\blast message (?:must|should) (?:have|be|come)\b|\bmust end with a user\b",
    rf"\bonly\b{SAME}{{0,60}}\broles? (?:is|are) supported\b|\broles must alternate\b|\bshould alternate with\b",
    r"\bunknown variant\b",  # so programs in Rust name a kind of part, a role or a word that they have not
    rf"\bcontents?\b{SAME}{{0,40}}\b(?:must|should) be (?:a |of type )(?:valid )?string\b",  # where others take a list of parts
    r"\b(?:not have|lacks?)(?: \w+){1,3} capabilit|\bcannot use tools? with stream",
    rf"\b(?:thinking|reasoning)\b{SAME}{{0,60}}\b(?:cannot|can ?not|can't) be (?:disabled|turned off)\b|\bfor non-?streaming calls\b",
)
FILE_WORDS = words(
    rf"\b(?:files?|attachments?|vector stores?|assistants?|containers?|cached ?contents?|uploads?"
    rf"|file[_ -]ids?)\b{SAME}{{0,100}}\b(?:not (?:be )?found|not exist|unknown|no longer)",
    r"\bno such (?:file|attachment|upload|container)|\bunknown file",
)
CAPACITY_WORDS = words(
    r"\bover-?load(?:ed)?\b|\bno healthy\b|\b(?:at|over|insufficient|not enough|no|lack of|out of) (?:\w+ )?capacity\b"
    r"|\bcapacity (?:\w+ )?(?:exceeded"
    r"|constraints?|limits?|reached|exhausted)",
    r"\b(?:model|server|service|engine|system|worker|endpoint|gpu|upstream)s?\b[^.;\n]{0,60}\b(?:is|are|currently|still"
    r"|too)(?: \w+){0,2} (?:loading|busy|overloaded|starting|warming|unavailable)",
    r"\b(?:server|service|engine|system|model)s? (?:too )?busy\b|\bstill loading\b|\bno (?:\w+ )?(?:channels?|instances?|workers?"
    r"|gpus?|replicas?|slots?) (?:\w+ )?(?:available|free)\b|\bno available\b",
    r"\bqueue (?:is )?full\b|\bheavy load\b|\bhigh demand\b|\btemporarily (?:unavailable|out)|负载|繁忙|拥挤",
)
MADE_BADLY_WORDS = words(
    r"\bfailed to (?:call a function|generate (?:valid )?json|parse (?:the )?(?:model|tool|function|output|response))"
    r"|\btool call validation failed\b",
    r"\bmalformed (?:function|tool)[ _]call|\bmodel (?:produced|generated|returned|output)\b(?! the following error)[^.;\n]{0,80}"
    r"\b(?:invalid|malformed"
    r"|could not|cannot|not be)",
)
