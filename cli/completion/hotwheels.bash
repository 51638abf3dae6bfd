# Completion of `hotwheels` in bash: commands, flags as each command's help lists them, and files.
_hotwheels() {
  local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]:-} words
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=$(hotwheels --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
    words="$words --runtime --help --version"
  elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = --runtime ]; then
    words="deno bun"
  elif [ "$command" = completion ]; then
    words="bash zsh fish"
  elif [[ $current == -* ]]; then
    words=$(hotwheels "$command" --help 2>/dev/null | grep -o '^ *\(-h, \)*--[a-z-]*' | grep -o -e '--[a-z-]*')
    words="$words --runtime"
  else
    return
  fi
  # shellcheck disable=SC2207
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _hotwheels hotwheels
