"""The words in which providers say what is wrong: codes first, then sentences.

From the documentation of OpenAI, Azure, Anthropic, Gemini, xAI, Mistral, DeepSeek, Groq, Moonshot
(platform.kimi.com/docs/api/errors), MiniMax (platform.minimax.io/docs/api-reference/errorcode),
Zhipu (docs.bigmodel.cn/cn/api/api-code), DashScope, Hugging Face and OpenRouter
(openrouter.ai/docs/errors), and from what vLLM, SGLang, TGI, llama.cpp, LM Studio, Ollama and
LiteLLM write. Codes are compared in lower case; those of MiniMax begin with ``minimax_``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from penstock.models.openai.complaints import Complaint

__all__ = [
    "BAD_KEY",
    "BAD_REQUEST",
    "FILTERED",
    "NEVER_FITS",
    "NO_CREDIT",
    "OVERLOADED",
    "RATE",
    "TOO_LONG",
    "Words",
]


class Words(NamedTuple):
    """The codes and the sentences of one meaning."""

    codes: frozenset[str]
    sentences: re.Pattern[str]

    def are_in(self, complaint: Complaint) -> bool:
        """Return whether a complaint says so."""
        if not self.codes.isdisjoint(complaint.codes):
            return True

        return self.sentences.search(complaint.sentence.lower()) is not None


def _words(codes: str, *sentences: str) -> Words:
    return Words(frozenset(codes.split()), re.compile("|".join(sentences)))


NO_CREDIT = _words(
    "insufficient_quota billing_hard_limit_reached insufficient_balance insufficient_funds "
    "insufficient_credits exceeded_current_quota_error billing_not_active budget_exceeded "
    "account_deactivated account_suspended organization_deactivated arrearage payment_required "
    "1110 1111 1112 1113 1121 1309 minimax_1008",
    r"balance (?:is|was) (?:too low|not enough|insufficient|negative|exhausted|empty|zero)",
    r"insufficient (?:\w+ )?(?:balance|quota|credits?|funds)",
    r"(?:exceeded|used(?: up| all)?|exhausted|run out of|ran out of|out of|not enough|requires more"
    r"|have any|purchase|add) (?:of )?(?:your |all |the |more )?(?:\w+ ){0,3}credits?\b",
    r"\bno (?:\w+ )?credits? (?:left|remaining|available)",
    r"(?:account|organization|project|workspace)\b.{0,60}"
    r"\b(?:suspended|deactivated|disabled|locked|terminated|overdue|in arrears)",
    r"(?:specified|monthly|total) (?:\w+ )?usage limits?|key limit exceeded",
    r"billing (?:hard limit|is not|not|account (?:is|has)|details are)|(?:enable|requires) billing",
    r"payment (?:is )?required|no active subscription|subscription has expired",
    r"budget has been exceeded|spending limit",
    r"余额不足|欠费|充值",
)
"""The account has nothing left to pay with."""

BAD_KEY = _words(
    "invalid_api_key incorrect_api_key_error api_key_invalid invalid_authentication_error "
    "authentication_error invalid_authentication unauthenticated unauthorized "
    "invalid_iam_token minimax_1004 minimax_2049",
    r"(?:incorrect|invalid|wrong|expired|missing|unknown|revoked|malformed|no) (?:\w+ ){0,2}"
    r"(?:api|access|subscription)[ _-]?(?:key|token)",
    r"api[ _-]?key\b.{0,40}\b(?:not valid|invalid|incorrect|expired|not found|missing|required"
    r"|revoked|disabled|not provided|leaked)",
    r"unregistered callers|security token\b.{0,40}\b(?:invalid|expired)|\blogin fail",
    r"(?:invalid|incorrect|missing|bad) (?:authentication|authorization|credentials)",
    r"authentication (?:error|failed|failure|required)|token has expired|unauthenticated",
)
"""The provider does not know the key."""

FILTERED = _words(
    "content_filter content_filtered content_policy_violation data_inspection_failed "
    "datainspectionfailed responsibleaipolicyviolation invalid_prompt content_flagged "
    "moderation_blocked prohibited_content safety blocked 1301 minimax_1026 minimax_1027",
    r"content (?:management )?(?:filter|polic|exists risk)|content_filter",
    r"flagged (?:by|as|for)|(?:input|prompt|content|text|request) (?:was |has been |is )?flagged",
    r"safety[_ ](?:system|reasons?|filter|check|guard|polic)",
    r"blocked (?:for|due to|because of|by) (?:\w+ ){0,3}(?:safety|polic|content|moderation)",
    r"violat\w* (?:\S+ ){0,6}(?:polic|guideline|terms)|usage (?:polic|guideline)",
    r"considered high risk|inappropriate content|sensitive (?:content|words?|information)",
    r"requires moderation|prohibited (?:content|use)|unsafe (?:content|prompt|input)",
    r"blocked by (?:a |the |your )?guardrail|guardrail (?:has )?(?:intervened|blocked)",
    r"sorry, you have been blocked",  # Cloudflare, of a prompt that looks like an attack
    r"敏感|不安全|违规内容",
)
"""The provider does not want this content."""

TOO_LONG = _words(
    "context_length_exceeded exceed_context_size_error context_window_exceeded "
    "tokens_limit_reached request_too_large string_above_max_length prompt_too_long 1261",
    r"maximum context length|context (?:window|size|length|limit)|(?:prompt|input) is too long",
    r"too many (?:input )?tokens|(?:input|prompt) (?:tokens? )?length too long",
    r"(?:prompt|input) (?:length|token count)(?: ?\([^)]*\))? exceed|prompt exceeds max length",
    r"inputs`? tokens \+ `?max_new_tokens|reduce the length of the|range of input length",
    r"maximum (?:model|prompt|input) length|max_model_len|exceeded model token limit",
    r"max(?:imum)? message tokens|must have less than \d+ tokens|too large for model",
    r"(?:prompt|input) exceeds (?:the )?max",
)
"""More tokens than the model takes."""

RATE = _words(
    "rate_limit rate_limit_error rate_limit_exceeded rate_limit_reached_error rate_limited "
    "too_many_requests throttling throttling.ratequota throttling.allocationquota "
    "throttlingexception resource_exhausted resourceexhausted concurrency_limit_exceeded "
    "1302 1303 1304 1305 1308 1310 1313 minimax_1002 minimax_1039 minimax_1041 minimax_2045 "
    "minimax_2056",
    r"rate[ _-]?limit|too many (?:concurrent )?requests|throttl|quota exceeded|exceeded your quota",
    r"(?:requests|tokens|calls) per (?:second|minute|hour|day)|\b(?:rpm|tpm|tpd|rpd)\b",
    r"concurren\w+ (?:\w+ )?(?:limit|exceeded|too)|并发|频率",
)
"""Too many requests or tokens."""

NEVER_FITS = _words("", r"request too large")
"""More tokens in one request than a minute allows."""

OVERLOADED = _words(
    "overloaded overloaded_error engine_overloaded_error server_overloaded service_unavailable "
    "model_loading 1312",
    r"overload|(?:is|being) (?:currently |still )?load(?:ing|ed)\b|at capacity|warming up",
    r"no (?:available |healthy )?(?:capacity|instances?|replicas?|workers?|upstream)",
    r"temporarily unavailable|(?:server|service|model) is (?:currently )?(?:busy|unavailable)",
    r"(?:please )?try again later",
)
"""The provider has too much to do, or is not ready yet."""

BAD_REQUEST = _words(
    "invalid_request_error invalid_argument invalid_parameter not_found_error model_not_found "
    "not_found unsupported_value unsupported_parameter 1210 1211 1213 1214 minimax_2013",
    r"unexpected endpoint|not found|does not exist|unknown (?:model|parameter|field)",
    r"invalid (?:request|parameter|model|argument)|not supported|unsupported",
)
"""The request itself; looked for where a status does not say so."""
