# Completion of `hotwheels` in fish: commands, flags as each command's help lists them, and files.
function __hotwheels_commands
    hotwheels --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\)  *\(.*\)/\1\t\2/p'
end

function __hotwheels_flags
    set -l words (commandline -opc)
    hotwheels $words[2] --help 2>/dev/null | grep -o '^ *\(-h, \)*--[a-z-]*' | grep -o -e '--[a-z-]*'
end

function __hotwheels_has_no_command
    test (count (commandline -opc)) -eq 1
end

complete -c hotwheels -n __hotwheels_has_no_command -f -a '(__hotwheels_commands)'
complete -c hotwheels -n 'not __hotwheels_has_no_command; and string match -q -- "-*" (commandline -ct)' -a '(__hotwheels_flags)'
complete -c hotwheels -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'
complete -c hotwheels -l runtime -x -a 'deno bun' -d 'the runtime'
