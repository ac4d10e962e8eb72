# For ~/.config/fish/config.fish:  llmasos shell-integration fish | source

# Replaces the sentence on the line by a command line, and runs nothing.
function __llmasos_suggest
    set -l code $status
    set -l sentence (commandline -b | string collect)
    if string match -qr '\S' -- "$sentence"
        set -l line $sentence
        set -l last (string sub -l 8000 -- "$history[1]" | string collect)
        set -l said (LLMASOS_LAST_COMMAND=$last command llmasos suggest --shell fish --exit-code $code -- "$sentence" 2>&1 </dev/null)
        if test $status -eq 0 -a (count $said) -gt 0
            set line $said[-1]
            set -e said[-1]
        end
        if test (count $said) -gt 0
            echo >&2
            printf '%s\n' $said >&2
        end
        commandline -r -- $line
        commandline -f repaint
    end
    return $code
end

complete -c llmasos -f -a '(command llmasos complete --shell fish -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null; or __fish_complete_path (commandline -ct))'
if status is-interactive
    bind @KEY@ __llmasos_suggest
    bind -M insert @KEY@ __llmasos_suggest
end
