#compdef hotwheels
# Completion of `hotwheels` in zsh: commands, flags as each command's help lists them, and files.
_hotwheels() {
  local -a items
  if (( CURRENT == 2 )); then
    items=(${(f)"$(hotwheels --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\)  *\(.*\)/\1:\2/p')"})
    _describe command items
    items=(--runtime --help --version)
    compadd -a items
  elif [[ ${words[CURRENT - 1]} == --runtime ]]; then
    items=(deno bun)
    compadd -a items
  elif [[ ${words[2]} == completion ]]; then
    items=(bash zsh fish)
    compadd -a items
  elif [[ ${words[CURRENT]} == -* ]]; then
    items=(${(f)"$(hotwheels ${words[2]} --help 2>/dev/null | grep -o '^ *\(-h, \)*--[a-z-]*' | grep -o -e '--[a-z-]*')"} --runtime)
    compadd -a items
  else
    _files
  fi
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
  _hotwheels "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _hotwheels hotwheels
fi
