/**
 * The chat template of models that carry none.
 *
 * A turn is `<|role|>`, a line break, the text, and the end-of-sequence token. Thinking stays in the
 * text, so the same template renders prompts and training targets.
 *
 * @module
 */

/** Jinja source. Assistant turns are `{% generation %}` blocks. */
export const defaultTemplate: string = `
{%- set end = eos_token or '<|end|>' -%}
{{- bos_token -}}
{%- if tools -%}
  {{- '<|tools|>\\n' + (tools | tojson) + end + '\\n' -}}
{%- endif -%}
{%- for message in messages -%}
  {{- '<|' + message.role + '|>\\n' -}}
  {%- if message.role == 'assistant' -%}
    {%- generation -%}
    {{- message.content or '' -}}
    {%- for call in message.tool_calls or [] -%}
      {{- '<tool_call>' + ((call.function or call) | tojson) + '</tool_call>' -}}
    {%- endfor -%}
    {{- end -}}
    {%- endgeneration -%}
  {%- else -%}
    {{- message.content + end -}}
  {%- endif -%}
  {{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|assistant|>\\n' -}}
{%- endif -%}`.trim();
