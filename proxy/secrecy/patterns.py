"""The table of secret patterns: names of credentials, and values that are credentials.  No I/O.

`scrubbing` applies it to heads and targets, `redaction` to captured content, so a pattern added
here protects both.
"""

import re

HIDDEN = "***"  # replaces a credential

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
    *("gh[opsu]", "github_pat", "glpat", "xox[abeprs]", "tmt"),
)
KEY_CHARACTERS_MIN = 12  # after the prefix
# Values that are credentials wherever they appear: provider keys, cloud keys, JSON web tokens.  In
# the syntax that `re` and RE2 share.  Each alternative consumes all that follows its prefix, so the
# time is linear.
SECRET_VALUE = (
    rf"\b(?:{'|'.join(KEY_PREFIXES)})[-_][\w-]{{{KEY_CHARACTERS_MIN},}}"
    r"|\bAIza[\w-]{20,}|\bya29\.[\w.-]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[\w-]{8,}[\w.-]*"
)
SECRET_VALUE_CHARACTERS_MIN = 11  # length of the shortest: eyJ and eight more


def is_secret(name: str) -> bool:
    """Whether a header or parameter of this lower-case name holds a credential."""
    words = _WORDS.split(name)
    return any(map(_SECRET_WORD.search, words)) or name.startswith("x-amz-")
