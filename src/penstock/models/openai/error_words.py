"""The words in which providers say what is wrong, and the codes that are no words.

From the documentation of OpenAI, Azure, Anthropic, Gemini, xAI, Mistral, DeepSeek, Groq, Cohere,
Cerebras, SambaNova, Moonshot (platform.kimi.com/docs/api/errors), MiniMax
(platform.minimax.io/docs/api-reference/errorcode), Zhipu (docs.bigmodel.cn/cn/api/api-code),
DashScope, Volcengine (volcengine.com/docs/82379/1299023), Hugging Face and OpenRouter
(openrouter.ai/docs/errors), and from what vLLM, SGLang, TGI, llama.cpp, LM Studio, Ollama and
LiteLLM write. Sentences and codes are looked at as plain words: see `Complaint.words`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from penstock.models.openai.complaints import Complaint

__all__ = [
    "BAD_ANSWER",
    "BAD_KEY",
    "BAD_REQUEST",
    "FILTERED",
    "NEVER_FITS",
    "NO_ACCESS",
    "NO_CREDIT",
    "OVERLOADED",
    "RATE",
    "TOO_LONG",
    "Words",
]


class Words(NamedTuple):
    """The words of one meaning, and the codes that have it although they are no words."""

    codes: frozenset[str]
    words: re.Pattern[str]

    def are_in(self, complaint: Complaint) -> bool:
        """Return whether a complaint says so."""
        is_code = not self.codes.isdisjoint(complaint.codes)
        return is_code or self.words.search(complaint.words) is not None


def _words(codes: str, *words: str) -> Words:
    return Words(frozenset(codes.split()), re.compile("|".join(words)))


_ACCOUNT = r"(?:account|organi[sz]ation|project|workspace|team|consumer)\b.{0,60}\b"
NO_CREDIT = _words(
    "1110 1111 1112 1113 1121 1309 minimax_1008 arrearage",
    r"balance (?:is|was) (?:too low|not enough|insufficient|negative|exhausted|empty|zero)",
    r"(?:insufficient|not enough|exceeded|overdue|negative) (?:\w+ )?(?:balance|credits?|funds)",
    r"insufficient (?:\w+ )?quota|exceeded current quota",
    r"(?:exceeded|used(?: up| all)?|exhausted|depleted|run out of|ran out of|out of|requires more"
    r"|have any|purchase|add) (?:of )?(?:your |all |the |more )?(?:\w+ ){0,3}credits?\b",
    r"credits? (?:balance )?(?:(?:are|is|has been|have been) )?(?:depleted|exhausted|used up)",
    r"credit limit (?:exceeded|reached)|\bno (?:\w+ )?credits? (?:left|remaining|available)",
    _ACCOUNT
    + r"(?:suspended|deactivated|disabled|locked|terminated|overdue|in arrears|restricted)",
    r"(?:specified|monthly|total|organization) (?:\w+ ){0,2}usage limits?|key limit exceeded",
    r"spend(?:ing)? (?:limit|cap)|(?:over|exceeded) budget|budget (?:has been )?exceeded",
    r"billing (?:hard limit|is not|not|error|account (?:is|has)|details are)"
    r"|(?:enable|requires) billing|payment (?:is )?required|payment method",
    r"(?:no active|inactive) subscription|subscription has expired|free tier only",
    r"api access (?:has been |is )?blocked|blocked api access",
    r"余额不足|欠费|充值",
)
"""The account has nothing left to pay with."""

_KEY = r"(?:api|access|subscription|auth(?:entication)?)[ -]?(?:key|token)"
BAD_KEY = _words(
    "minimax_1004 minimax_2049",
    rf"(?:incorrect|invalid|wrong|expired|missing|unknown|revoked|malformed|no) "
    rf"(?:\w+ ){{0,2}}{_KEY}",
    rf"{_KEY}\b.{{0,40}}\b(?:not valid|invalid|incorrect|expired|not found|missing|required"
    r"|revoked|disabled|not provided|leaked|blocked)",
    r"unregistered callers|security token\b.{0,40}\b(?:invalid|expired)|\blogin fail|iam token",
    r"(?:invalid|incorrect|missing|bad|multiple) (?:authentication|authorization|credentials)",
    r"auth(?:entication)? (?:error|failed|failure|required)|token has expired"
    r"|unauthenticated|\bunauthori[sz]ed\b",
)
"""The provider does not know the key."""

NO_ACCESS = _words(
    "",
    r"(?:\bnot?\b|n't|\black\w*|\bwithout)\b.{0,25}"
    r"\b(?:access|allowed|permission|authori[sz]ed|entitled)\b.{0,30}\bmodel\b",
    r"\bmodel access denied",
)
"""This key may not have this model; it may have others."""

FILTERED = _words(
    "invalid_prompt safety blocked 1301 minimax_1026 minimax_1027",
    r"content (?:management )?(?:filter|polic|flagged|moderation|exists risk)",
    r"polic(?:y|ies) violation|data inspection ?failed|prohibited (?:content|use)",
    r"flagged (?:by|as|for)|(?:input|prompt|content|text|request) (?:was |has been |is )?flagged",
    r"safety (?:system|reasons?|filter|check|guard|polic)|moderation blocked",
    r"blocked (?:for|due to|because of|by) (?:\w+ ){0,3}(?:safety|polic|content|moderation)",
    r"blocked (?:input|output)|(?:content|input|output|prompt) violation|censor",
    r"violat\w* (?:\S+ ){0,6}(?:polic|guideline|terms)|usage (?:polic|guideline)",
    r"considered high risk|inappropriate content|sensitive (?:content|words?|information)",
    r"risk detection|requires moderation|unsafe (?:content|prompt|input)",
    r"blocked by (?:a |the |your )?guardrail|guardrail (?:has )?(?:intervened|blocked)",
    r"sorry, you have been blocked",  # Cloudflare, of a prompt that looks like an attack
    r"敏感|不安全|违规内容",
)
"""The provider does not want this content."""

TOO_LONG = _words(
    "1261",
    r"maximum context length|context (?:window|size|length|limit)|(?:prompt|input) is too long",
    r"too many (?:input )?tokens|(?:prompt|input) (?:tokens? )?(?:length )?too long",
    r"\b(?:prompt|inputs?)\b[^.]{0,50}\bexceed|(?:prompt|inputs?) is too large",
    r"(?:number of tokens|token count)[^.]{0,50}\b(?:exceed|only supports)",
    r"inputs`? tokens \+ `?max new tokens|reduce the length of the|range of input length",
    r"maximum (?:\w+ )?(?:model|prompt|input|sequence) length|max (?:model|seq) len\b",
    r"exceeded model token limit|tokens limit reached|above max length|max input characters",
    r"max(?:imum)? message tokens|must have less than \d+ tokens|too large for (?:\S+ )?model",
    r"request too large",
)
"""More tokens than the model takes."""

RATE = _words(
    "1302 1303 1304 1305 1308 1310 1313 "
    "minimax_1002 minimax_1039 minimax_1041 minimax_2045 minimax_2056",
    r"rate[ -]?limit|too many (?:concurrent )?requests|throttl|quota exceeded|exceeded your quota",
    r"(?:requests|tokens|calls) per (?:second|minute|hour|day)|\b(?:rpm|tpm|tpd|rpd|qps)\b",
    r"concurren\w+ (?:\w+ )?(?:limit|exceeded|too)|resource (?:has been )?exhausted|volume quota",
    r"wait before (?:\w+ )?(?:trying|retrying|sending)|并发|频率",
)
"""Too many requests or tokens."""

NEVER_FITS = _words("", r"request too large")
"""More tokens in one request than a minute allows."""

OVERLOADED = _words(
    "1312",
    r"overload|(?:is|being|model) (?:currently |still )?load(?:ing|ed)\b|warming up",
    r"at (?:full )?capacity|capacity (?:temporarily )?exceeded",
    r"no (?:available |healthy )?(?:capacity|instances?|replicas?|workers?|upstream)",
    r"(?:temporarily|service) unavailable|(?:server|service|model|system) is (?:\w+ )?"
    r"(?:busy|unavailable)|(?:please )?try again later",
)
"""The provider has too much to do, or is not ready yet."""

BAD_ANSWER = _words("", r"failed generation|tool use failed|json validate failed")
"""Groq, of an answer that it threw away: what the model wrote was not what was asked for."""

BAD_REQUEST = _words(
    "1210 1211 1213 1214 minimax_2013",
    r"unexpected endpoint|not found|does not exist|unknown (?:model|parameter|field)",
    r"invalid (?:request|parameter|model|argument)|not supported|unsupported",
)
"""The request itself; looked for where a status does not say so."""
