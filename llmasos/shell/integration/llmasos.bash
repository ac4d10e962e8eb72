# For ~/.bashrc:  eval "$(llmasos shell-integration bash)"

# Replaces the sentence on the line by a command line, and runs nothing. $? stays what it was.
__llmasos_suggest() {
    local code=$? said last trapped
    [[ $READLINE_LINE == *[![:space:]]* ]] || return "$code"
    # fc would leave the last one out.
    last=$(HISTTIMEFORMAT='' history 1)
    [[ $last =~ ^\ *[0-9]+\*?\ +(.*)$ ]] && last=${BASH_REMATCH[1]}
    # Ctrl-C gives up waiting, and the line stays.
    trapped=$(trap -p INT)
    trap : INT
    printf '\r\e[Kllmasos …' >&2
    if said=$(LLMASOS_LAST_COMMAND=${last:0:8000} command llmasos suggest --shell bash --exit-code "$code" \
        -- "$READLINE_LINE" 2>&1 </dev/null); then
        READLINE_LINE=${said##*$'\n'}
        READLINE_POINT=$(LC_ALL=C; printf '%s' "${#READLINE_LINE}")
        said=${said%"$READLINE_LINE"}
    fi
    eval "${trapped:-trap - INT}"
    printf '\r\e[K' >&2
    [[ -z $said ]] || printf '%s\n' "${said%$'\n'}" >&2
    return "$code"
}

# What comes after the program's name; files where it knows nothing.
__llmasos_complete() {
    mapfile -t COMPREPLY < <(command llmasos complete --shell bash -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}

complete -o nosort -o bashdefault -o default -F __llmasos_complete llmasos
if [[ $- == *i* ]]; then
    bind -m emacs-standard -x '"@KEY@": __llmasos_suggest'
    bind -m vi-insert -x '"@KEY@": __llmasos_suggest'
fi
