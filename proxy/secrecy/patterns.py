"""One table of secret patterns: names that hold a credential, and values that are one.  No I/O.

`scrubbing` applies it to heads and targets, `redaction` to captured content, so a pattern added
here protects both.
"""

import re

HIDDEN = "***"  # replaces a credential

# A word of a header or parameter name that ends so is a credential.  "tokens" is not: it counts.
SECRET_WORDS = (
    *("keys?", "token", "secrets?", "passwo?r?d", "passphrase", "pwd", "pass", "credentials?"),
    *("signature", "sig", "auth", "authorization", "bearer", "assertion", "cookie", "jwt"),
)
# Cheap to find, and part of every name that ends in one of those words.
SECRET_STEMS = (
    *("key", "token", "secret", "pass", "pwd", "credential", "sig", "auth", "bearer"),
    *("assertion", "cookie", "jwt"),
)
_SECRET_WORD = re.compile(rf"(?:{'|'.join(SECRET_WORDS)})$")
_WORDS = re.compile(r"[-_.\[\]]+")

# How the keys of model providers, code hosts and chat services begin.
KEY_PREFIXES = (
    *("sk", "pk", "rk", "gsk", "xai", "pplx", "hf", "nvapi", "csk", "fw", "r8", "tgp", "ek"),
    *("gh[opsu]", "github_pat", "glpat", "xox[abeprs]"),
)
KEY_CHARACTERS_MIN = 12  # after the prefix
# Values that are credentials wherever they appear: provider keys, cloud keys, JSON web tokens.  In
# the syntax that `re` and RE2 share; each alternative takes all that follows its beginning, so the
# time is linear.
SECRET_VALUE = (
    rf"\b(?:{'|'.join(KEY_PREFIXES)})[-_][\w-]{{{KEY_CHARACTERS_MIN},}}"
    r"|\bAIza[\w-]{20,}|\bya29\.[\w.-]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[\w-]{8,}[\w.-]*"
)
SECRET_VALUE_CHARACTERS_MIN = 11  # of the shortest: eyJ and eight more


def is_secret(name: str) -> bool:
    """Whether a header or parameter of this lower-case name holds a credential."""
    words = _WORDS.split(name)
    return any(map(_SECRET_WORD.search, words)) or name.startswith("x-amz-")
