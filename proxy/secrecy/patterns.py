"""The table of secret patterns: names of credentials, and values that are credentials.  No I/O.

`scrubbing` applies it to heads and targets, `redaction` to captured content, so a pattern added
here protects both.  `credential_kind` says of a caller's credential no more than its kind.
"""

import re
from functools import lru_cache

from pricing.plan import CredentialKind

HIDDEN = "***"  # replaces a credential
# Few credentials make most calls, and a relay holds them in memory in any case.
CREDENTIALS_CACHED_MAX = 256

# A header or parameter is a credential if a word of its name ends in one of these.  "tokens" is
# not among them: that is a count.
SECRET_WORDS = (
    *("keys?", "token", "secrets?", "passwo?r?d", "passphrase", "pwd", "pass", "credentials?"),
    *("signature", "sig", "auth", "authorization", "bearer", "assertion", "cookie", "jwt"),
)
# Substrings that are cheap to find; each name that ends in one of those words contains one.
SECRET_STEMS = (
    *("key", "token", "secret", "pass", "pwd", "credential", "sig", "auth", "bearer"),
    *("assertion", "cookie", "jwt"),
)
_SECRET_WORD = re.compile(rf"(?:{'|'.join(SECRET_WORDS)})$")
_WORDS = re.compile(r"[-_.\[\]]+")

# Prefixes of keys of model providers, code hosts and chat services, and of the console's tokens.
KEY_PREFIXES = (
    *("sk", "pk", "rk", "gsk", "xai", "pplx", "hf", "nvapi", "csk", "fw", "r8", "tgp", "ek"),
    "bedrock-api-key",
    *("gh[opsu]", "github_pat", "glpat", "xox[abeprs]", "tmt"),
)
KEY_CHARACTERS_MIN = 12  # after the prefix
# Values that are credentials wherever they appear: provider keys, cloud keys, JSON web tokens.  In
# the syntax that `re` and RE2 share.  Each alternative consumes all that follows its prefix, so the
# time is linear.
SECRET_VALUE = (
    rf"\b(?:{'|'.join(KEY_PREFIXES)})[-_][\w-]{{{KEY_CHARACTERS_MIN},}}"
    r"|\bAIza[\w-]{20,}|\bya29\.[\w.-]{16,}|\bABSK[\w+/=]{20,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[\w-]{8,}[\w.-]*"
)
# What a credential begins with, and its kind; the first that fits.
CREDENTIAL_KINDS = (
    (re.compile(r"sk-ant-oat\d*-"), CredentialKind.CLAUDE_OAUTH),
    (re.compile(r"sk-ant-admin\d*-|sk-admin-"), CredentialKind.ADMIN_KEY),
    (re.compile(r"sk-ant-"), CredentialKind.ANTHROPIC_API_KEY),
    (re.compile(r"sk-kimi-"), CredentialKind.KIMI_PLAN_KEY),
    (re.compile(r"sk-sp-"), CredentialKind.QWEN_PLAN_KEY),
    (re.compile(r"sk-cp-"), CredentialKind.MINIMAX_PLAN_KEY),
    (re.compile(r"AIza"), CredentialKind.GOOGLE_API_KEY),
    (re.compile(r"ya29\."), CredentialKind.GOOGLE_OAUTH),
    (re.compile(r"(?:AKIA|ASIA)[A-Z0-9]"), CredentialKind.AWS_SIGNATURE),
    (re.compile(r"eyJ[\w-]*\."), CredentialKind.JWT),
    (re.compile(rf"(?:{'|'.join(KEY_PREFIXES)})[-_]"), CredentialKind.API_KEY),
)
SECRET_VALUE_CHARACTERS_MIN = 11  # length of the shortest: eyJ and eight more


def is_secret(name: str) -> bool:
    """Whether a header or parameter of this lower-case name holds a credential."""
    words = _WORDS.split(name)
    return any(map(_SECRET_WORD.search, words)) or name.startswith("x-amz-")


@lru_cache(maxsize=CREDENTIALS_CACHED_MAX)
def credential_kind(credential: str) -> str:
    """The kind of a caller's credential, as `fingerprint.credential` finds it."""
    if not credential:
        return CredentialKind.NONE.value
    kinds = (kind for begins, kind in CREDENTIAL_KINDS if begins.match(credential))
    return next(kinds, CredentialKind.OTHER).value
