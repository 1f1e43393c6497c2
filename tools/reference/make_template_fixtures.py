"""Chat templates, what they are rendered with, and what transformers renders -> tests/fixtures/tokenizer/templates.json.

usage: make_template_fixtures.py [--nano CHAT_TEMPLATE] [--out FILE]

Each case has a template, the names it sees ("context"), and "text", or "fails" when jinja2 raises.
"""

import argparse
import json
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

NANO = Path(__file__).parents[2] / "models/calliope-nano/chat_template.jinja"

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather \"now\" <b>&</b>\nin a city",
     "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Zürich", "東京"]}, "days": {"type": "integer", "default": 3}},
                    "required": ["city"], "additionalProperties": False}}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}, "strict": None, "scale": 1.5}},
]

QWEN25 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {{- "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

QWEN3 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""

# As vision and omni checkpoints have it: a macro, counters, parts of many kinds.
QWEN_VL = r"""{%- set image_count = namespace(value=0) %}
{%- set video_count = namespace(value=0) %}
{%- macro render_content(content, do_vision_count) %}
    {%- if content is string %}
        {{- content }}
    {%- else %}
        {%- for item in content %}
            {%- if 'image' in item or 'image_url' in item or item.type == 'image' %}
                {%- if do_vision_count %}
                    {%- set image_count.value = image_count.value + 1 %}
                {%- endif %}
                {%- if add_vision_id %}Picture {{ image_count.value }}: {% endif -%}
                <|vision_start|><|image_pad|><|vision_end|>
            {%- elif 'video' in item %}
                {%- if do_vision_count %}
                    {%- set video_count.value = video_count.value + 1 %}
                {%- endif %}
                {%- if add_vision_id %}Video {{ video_count.value }}: {% endif -%}
                <|vision_start|><|video_pad|><|vision_end|>
            {%- elif 'audio' in item or 'audio_url' in item or item.type == 'audio' %}
                {{- '<|audio_start|><|audio_pad|><|audio_end|>' }}
            {%- elif 'text' in item %}
                {{- item.text }}
            {%- else %}
                {{- raise_exception('Unexpected item type in content: ' ~ item.type) }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
{%- endmacro %}
{%- for message in messages %}
    {%- set content = render_content(message.content, true)|trim %}
    {%- if message.role == 'system' and not loop.first %}{{ raise_exception('System message must be at the beginning.') }}{% endif %}
    {{- '<|im_start|>' ~ message.role ~ '\n' ~ content ~ '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

LLAMA = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{{- system_message }}<|eot_id|>
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("Cannot put tools in the first user message when there's no first user message!") }}
{%- endif %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' ~ arg_val ~ '"' }}
            {%- if not loop.last %}{{ ", " }}{% endif %}
        {%- endfor %}
    {%- else %}
        {%- if message.content is mapping or message.content is iterable %}{{- message.content | tojson }}{% else %}{{- message.content }}{% endif %}
    {%- endif %}
{%- endfor %}
"""

DATA = {"x": 7, "neg": -3, "f": 2.5, "s": "Hello, World", "u": " Größe ſtraße \n", "xs": [3, 1, 2], "ys": ["b", "A", "c", "a"], "e": [], "n": None,
        "t": True, "d": {"b": 1, "a": [1, "x", None, True, 1.0], "c": {"k": "v'\"\n"}}, "rows": [{"n": "a", "v": 2, "g": {"h": 1}}, {"n": "B", "v": 1}, {"n": "c"}],
        "big": 1e16, "small": 1.5e-7, "js": "</script>'\"\\\u2028\x7f\x01é😀", "lines": "one\n two\r\n\nthree\n"}

SNIPPETS = r"""
{{ x }} {{ f }} {{ big }} {{ small }} {{ n }} {{ t }} {{ missing }}|{{ 1e3 }} {{ 0.1 + 0.2 }} {{ 100000.0 }} {{ 1e22 }} {{ 123456789012345680.0 }}
{{ xs }} {{ d }} {{ ys }} {{ (1,) }} {{ (1, 'a') }} {{ () }} {{ [] }} {{ {} }} {{ js }} {{ [js] }}
{{ x + 1 }} {{ x - 10 }} {{ x * 2 }} {{ x / 2 }} {{ x // 2 }} {{ neg // 2 }} {{ neg % 5 }} {{ x % -4 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }}
{{ (1 + 2) ~ (3 + 4) }} {{ 2 ~ 3 * 4 }} {{ 'a' ~ 1 ~ none ~ 2.0 ~ true }} {{ 'ab' * 3 }} {{ [1] * 2 }} {{ 3 * 'x' }} {{ 'a' + 'b' }} {{ [1] + [2] }}
{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 'a' == ['a'] }} {{ none == missing }}
{{ 'el' in s }} {{ 3 in xs }} {{ 9 not in xs }} {{ 'a' in d }} {{ 'x' in missing }} {{ not x }} {{ not e }} {{ x and s }} {{ e or 'empty' }} {{ n or 0 or '' }}
{{ 'yes' if x > 3 else 'no' }} {{ 'yes' if x > 30 }}| {{ 'a' if false else 'b' if false else 'c' }}
{{ xs[0] }} {{ xs[-1] }} {{ xs[9] }}| {{ s[1:4] }} {{ s[::-1] }} {{ s[-5:] }} {{ s[:-3:2] }} {{ xs[1:] }} {{ xs[::-2] }} {{ d['a'][1] }} {{ d.c.k }} {{ d.zz }}| {{ d['zz'] }}| {{ xs.0 }} {{ 'héé'[1] }} {{ n.foo }}| {{ n['foo'] }}|
{{ s|upper }} {{ s|lower }} {{ u|upper }} {{ u|trim }} {{ 'hELLO wORLD'|capitalize }} {{ "it's a-b (c) dé"|title }} {{ "it's a-b"|title }} {{ "it's a-b".title() }} {{ 'ß'.upper() }}
{{ u.strip() }}|{{ u.lstrip() }}|{{ u.rstrip() }}|{{ 'xxaxx'.strip('x') }} {{ 'abcba'.strip('ab') }} {{ 'xxaxx'.lstrip('x') }} {{ '  \u00a0a\u3000 '.strip() }}|
{{ 'a,b,,c'.split(',') }} {{ ' a  b c '.split() }} {{ ' a  b c '.split(None, 1) }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a--b'.partition('--') }} {{ 'ab'.rpartition('-') }}
{{ s.startswith('He') }} {{ s.endswith(('x', 'ld')) }} {{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.index('W') }} {{ s.count('l') }} {{ 'héllo'.find('l') }} {{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ 'ab'.replace('', '-') }}
{{ '12'.isdigit() }} {{ 'a1'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB1'.isupper() }} {{ 'ab'.islower() }} {{ lines.splitlines() }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }}
{{ ', '.join(ys) }} {{ ys|join('-') }} {{ xs|join }} {{ rows|join(',', attribute='n') }} {{ xs|length }} {{ s|count }} {{ d|length }} {{ missing|length }} {{ 'é😀'|length }}
{{ xs|first }} {{ xs|last }} {{ e|first }}| {{ xs|reverse|list }} {{ s|reverse }} {{ xs|sort }} {{ ys|sort }} {{ ys|sort(case_sensitive=true) }} {{ xs|sort(reverse=true) }} {{ rows|selectattr('v')|sort(attribute='v')|map(attribute='n')|list }}
{{ xs|sum }} {{ xs|min }} {{ xs|max }} {{ ys|min }} {{ rows[:2]|sum(attribute='v') }} {{ ['a', 'A', 'b']|unique|list }} {{ [1, 1, 2]|unique|list }} {{ -3|abs }} {{ neg|abs }} {{ d|dictsort }} {{ s|list }}
{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 2.1|round(0, 'ceil') }} {{ 2.9|round(method='floor') }} {{ 7|round }} {{ '42'|int }} {{ '4.7'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ 3.9|int }} {{ '1.5'|float }} {{ 'y'|float }} {{ ' 12 '|int }} {{ true|int }}
{{ rows|map(attribute='v')|list }} {{ rows|map(attribute='v', default=0)|list }} {{ rows[:1]|map(attribute='g.h')|list }} {{ rows|map(attribute='g')|list|length }} {{ ys|map('upper')|list }} {{ ys|map('replace', 'a', 'z')|join }} {{ xs|select('odd')|list }} {{ xs|reject('gt', 1)|list }} {{ rows|selectattr('v', 'defined')|map(attribute='n')|list }} {{ rows|rejectattr('v', 'eq', 2)|map(attribute='n')|join }}
{{ missing|default('d') }} {{ ''|default('d') }}| {{ ''|default('d', true) }} {{ n|default('d') }} {{ n|d('e', boolean=true) }} {{ missing|default }}|
{{ d|tojson }} {{ xs|tojson }} {{ js|tojson }} {{ n|tojson }} {{ t|tojson }} {{ f|tojson }} {{ e|tojson }} {{ {}|tojson }} {{ big|tojson }} {{ (1, 2)|tojson }}
{{ d|tojson(indent=2) }} {{ [[], {}, [1]]|tojson(indent=1) }} {{ d|tojson(sort_keys=true) }} {{ d|tojson(separators=(',', ':')) }} {{ js|tojson(ensure_ascii=true) }} {{ d|tojson(false, 4) }}
{{ '<a href="x">\'&'|e }} {{ 'x'|safe }} {{ 12|string + '3' }} {{ lines|indent }}|{{ lines|indent(2, true) }}|{{ lines|indent(1, blank=true) }}| {{ '%s is %d, %5.2f%% %-4s|'|format('a', 3, 2.5, 'b') if false else '' }}{{ '%s=%03d'|format('a', 7) }} {{ '%s %s' % ('a', [1]) }} {{ '%.1f' % 2.25 }}
{{ x is number }} {{ t is number }} {{ x is integer }} {{ t is integer }} {{ t is boolean }} {{ f is float }} {{ s is string }} {{ d is mapping }} {{ xs is mapping }} {{ xs is iterable }} {{ s is iterable }} {{ x is iterable }} {{ xs is sequence }} {{ d is sequence }} {{ n is none }} {{ missing is defined }} {{ missing is undefined }} {{ n is not none }} {{ missing is none }} {{ missing is string }}
{{ x is odd }} {{ x is even }} {{ x is divisibleby 7 }} {{ x is divisibleby(2) }} {{ t is true }} {{ t is false }} {{ 1 is true }} {{ x is eq 7 }} {{ x is gt(3) }} {{ x is in [7] }} {{ n is sameas none }} {{ 1.0 is sameas 1 }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ x is not eq 8 }} {{ x is ne 8 and x is lt 9 }} {{ not x is defined }}
{% for a in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('o', 'e') }}{{ loop.depth }};{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for k in d.keys() %}{{ k }}{% endfor %}{% for v in d.values() %}{{ v }}{% endfor %}{% for k, v in d|items %}{{ k }}{% endfor %}{% for k, v in d|dictsort %}{{ k }}{% endfor %}
{% for a in xs if a > 1 %}{{ a }}{{ loop.length }}{% else %}none{% endfor %}{% for a in e %}x{% else %}empty{% endfor %}{% for a in missing %}x{% else %}undefined{% endfor %}{% for a in xs if a > 9 %}{% else %}nothing{% endfor %}
{% for a in xs %}{% if a == 1 %}{% continue %}{% endif %}{{ a }}{% endfor %}{% for a in xs %}{% if a == 1 %}{% break %}{% endif %}{{ a }}{% endfor %}{% for a in xs %}{% for b in xs %}{% if b == a %}{% break %}{% endif %}{{ b }}{{ loop.depth }}{% endfor %},{% endfor %}
{% for a, b in [(1, 2), [3, 4]] %}{{ a }}-{{ b }};{% endfor %}{% for c in 'añ😀' %}{{ c }}.{% endfor %}{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}{% for i in range(2, 4) %}{{ i }}{% endfor %}{% for i in 1, 2 %}{{ i }}{% endfor %}
{% set a = 1 %}{% for i in xs %}{% set a = i %}{{ a }}{% endfor %}{{ a }}{% if true %}{% set a = 9 %}{% endif %}{{ a }}{% set b, c = 1, 2 %}{{ b }}{{ c }}{% set z %}block {{ a }}{% endset %}{{ z }}{% set t2 = 1, %}{{ t2 }}
{% set ns = namespace(a=1, l=[]) %}{% for i in xs %}{% set ns.a = ns.a + i %}{% set ns.l = ns.l + [i] %}{% set ns.new = i %}{% endfor %}{{ ns.a }}{{ ns.l }}{{ ns.new }}{{ ns.zz }}|{{ ns['a'] }}{% set m = namespace(d) %}{{ m.b }}{% set m.b = 5 %}{{ m.b }}{{ d.b }}
{% macro f(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ f(1) }}{{ f(1, c='z') }}{{ f(b=3, a=4) }}{{ f() }}{{ f(1)|upper }}{{ f is callable }}
{% macro rec(n) %}{{ n }}{% if n > 0 %}{{ rec(n - 1) }}{% endif %}{% endmacro %}{{ rec(5) }}{% set g = 1 %}{% macro seeg() %}{{ g }}{{ i }}{% endmacro %}{% for i in [1] %}{% set g = 2 %}{{ seeg() }}{% endfor %}{% set g = 3 %}{{ seeg() }}
{% with a = 1, b = x %}{{ a }}{{ b }}{% set q = 5 %}{% endwith %}{{ a }}{{ q }}|{% generation %}gen {{ x }}{% set w = 1 %}{% endgeneration %}{{ w }}|{% raw %}{{ not }} {% if %}{% endraw %}{# comment #}end
{{ dict(a=1, b='x') }} {{ dict(d, b=2).b }} {{ {'a': 1, 'a': 2} }} {{ {'a': {'b': {}}}.a.b }} {{ d.get('a') }} {{ d.get('q') }} {{ d.get('q', 3) }} {{ d.c.copy() }} {{ {'a': 1} == {'a': 1} }} {{ [1, [2]] == [1, [2]] }} {{ (1, 2) == [1, 2] }}
{{ "\x41\u00e9\t\101\0\q\\'\"" }}{{ 'a' 'b' "c" }}{{ 'multi
line' }} {{ "\U0001F600" }} {{ 'a\
b' }}
{{- 'x' -}}   y   {{- 'z' }}  w  {{ 'v' -}}
  u
{% if true %}a{% endif %}  
  {% if true %}  
b
  {% endif %}
c {% if true %} d {% endif %} e
  {#- comment -#}  f
  {# comment #}
g
  {%+ if true %}h{% endif +%}
i
{%- if true -%}   j   {%- endif -%}   k
{{ 1_000 }} {{ 1.5e2 }} {{ 5 is odd and 4 is even }} {{ -x|abs }} {{ (-x)|abs }} {{ x|string|length }} {{ 'a' if x is odd else 'b' }} {{ +x }} {{ not x == 7 }} {{ x == 7 and not e }} {{ [x, f,] }} {{ {'k': x,}.k }}
{{ (x) }} {{ ((1, 2), 3)[0][1] }} {{ ('a', 'b')|join }} {{ s.split(', ')[1][0] }} {{ s.lower().upper() }} {{ (s|upper).lower() }} {{ s|replace('o', '0')|upper }} {{ s|replace('l', 'L', 2) }} {{ xs|map('string')|join('+') }} {{ 1, 2 }}
{{ rows|map(attribute='n')|map('lower')|sort|join(' ') }} {{ rows|length > 2 }} {{ 'a' ~ 'b' in 'cab' }} {{ 'b' in 'a' ~ 'b' }} {{ 1 in [1] and 2 not in [1] }} {{ xs|attr('x') is defined }} {{ d|items|list }} {{ d|list }}
{{ missing.foo }}
{{ rows|map(attribute='g.h')|list }}
{{ 1 + 2 ~ 3 + 4 }}
{{ missing['x'] }}
{{ missing + 1 }}
{{ missing() }}
{{ 1 / 0 }}
{{ 'a' + 1 }}
{{ 1 < 'a' }}
{{ n.strip() }}
{{ x.items() }}
{{ raise_exception('no: ' ~ x) }}
{{ xs|length() + missing.y.z }}
{% for a in x %}{% endfor %}
{% for a, b in xs %}{% endfor %}
{% set d.b = 3 %}
{{ xs.append(4) }}
{{ n|length }}
{{ [1, 'a']|sort }}
{{ 1 in 'abc' }}
{{ range(1000000) }}
{{ d|nosuchfilter }}
{{ d is nosuchtest }}
{% if x %}
{% endif %}
{{ x
{% nosuchtag %}
{{ x + }}
{{ 'abc }}
{% for x in xs %}
{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{% endmacro %}{{ f(z=2) }}
{{ s.nosuchmethod() }}
"""
# Snippets of more than one line: first line -> number of lines.
LINES = {"{{ \"\\x41": 3, "{{- 'x' -}}": 13}


def snippets() -> list[str]:
    lines = SNIPPETS.strip("\n").split("\n")
    result = []
    while lines:
        count = next((n for start, n in LINES.items() if lines[0].startswith(start)), 1)
        result.append("\n".join(lines[:count]))
        lines = lines[count:]
    return result + ["\n\n a \n\n", "{% if x %}\n\n  a\n{% endif %}\n\n", "a\r\nb\rc{% if x %}\r\nd{% endif %}\r\n", "", "\n", "{# a", "{# a #}\n b", "a{#- -#} b",
                     "{{ '}}' }}{{ '%}' }}{% set a = '%}' %}{{ a }}", "{{ {'a': {'b': 1}}}}", "{{ x }}{{", "{ { x } }{ %}", "x\u00a0{%- if x %}\u3000 {%- endif %}\u2003",
                     "  {% if x %}a\n  {% else %}b\n  {% endif %}c\n\t{% set y = 1 %}\n{{ y }}\n", "{% if x -%}\n\n a {%- else -%} b {%- endif %}\n", "{{ x -}}\n\n{% set a = 1 %}\n{{- a }}"]


def conversations() -> list[dict]:
    system = {"role": "system", "content": "  You are kind.\n"}
    user, user2 = {"role": "user", "content": "Hi <b>\n"}, {"role": "user", "content": "Weather in Zürich? 天気"}
    call = {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2, "deep": [1, {"a": None}]}}}]}
    calls = {"role": "assistant", "content": "Let me see.", "tool_calls": [{"name": "now", "arguments": "{}"}, *call["tool_calls"]]}
    answer = {"role": "tool", "content": "{\"sky\": \"clear\"}"}
    thought = {"role": "assistant", "content": "<think>\nHm.\n\n</think>\n\nClear sky."}
    reasoned = {"role": "assistant", "content": "Yes.", "reasoning_content": "\nBecause.\n"}
    parts = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it? "}, {"type": "audio"}, {"type": "video", "video": 1}, {"text": "x"}]}
    odd = {"role": "user", "content": [{"type": "smell"}]}
    contexts = []
    for messages in [[user], [system, user], [system, user, thought, user2], [user2, call, answer, answer, thought], [system, user2, calls, answer, reasoned],
                     [system, user, reasoned, user2, calls, answer], [parts], [system, parts, thought, parts], [user, system, user], [odd], [user2, call, answer]]:
        for tools in (None, TOOLS):
            for extra in ({"add_generation_prompt": True}, {"add_generation_prompt": False, "add_vision_id": True},
                          {"add_generation_prompt": True, "enable_thinking": False, "bos_token": "<s>"}):
                contexts.append({"messages": messages, "tools": tools, "documents": None, **extra})
    return contexts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nano", type=Path, default=NANO, help="calliope-nano's chat_template.jinja")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "tests/fixtures/tokenizer/templates.json")
    arguments = parser.parse_args()

    templates = {"nano": arguments.nano.read_text(), "qwen2.5": QWEN25, "qwen3": QWEN3, "qwen-vl": QWEN_VL, "llama": LLAMA}
    cases = [{"template": name, "context": i} for name in templates for i in range(len(conversations()))]
    for i, text in enumerate(snippets()):
        templates[f"snippet {i}"] = text
        cases.append({"template": f"snippet {i}", "context": -1})
    contexts = conversations()
    for case in cases:
        context = DATA if case["context"] < 0 else contexts[case["context"]]
        try:
            case["text"] = _compile_jinja_template(templates[case["template"]]).render(**context)
        except Exception as error:
            case["fails"] = f"{type(error).__name__}: {error}"
    fixture = {"templates": templates, "contexts": contexts, "data": DATA, "cases": cases}
    arguments.out.write_text(json.dumps(fixture, ensure_ascii=False, indent=0) + "\n")
    print(len(cases), "cases,", sum("fails" in case for case in cases), "of which fail;", arguments.out.stat().st_size, "bytes")
    for case in cases:
        if case["template"].startswith("snippet") and "fails" in case:
            print(" ", templates[case["template"]].split("\n")[0][:60], "->", case["fails"][:90])


if __name__ == "__main__":
    main()
