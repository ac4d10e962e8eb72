# For ~/.zshrc, after compinit:  eval "$(llmasos shell-integration zsh)"

# Replaces the sentence on the line by a command line, and runs nothing.
__llmasos_suggest() {
    local -i code=$?
    emulate -L zsh
    setopt local_traps
    [[ $BUFFER == *[^[:space:]]* ]] || return code
    local said line=$BUFFER last
    last=$(fc -ln -1 2>/dev/null)
    # Ctrl-C gives up waiting, and the line stays.
    trap : INT
    zle -R 'llmasos …'
    if said=$(LLMASOS_LAST_COMMAND=${last[1,8000]} command llmasos suggest --shell zsh --exit-code $code \
        -- "$BUFFER" 2>&1 </dev/null); then
        line=${said##*$'\n'}
        said=${said%"$line"}
    fi
    if [[ -n $said ]]; then
        zle -I
        print -r -u2 -- "${said%$'\n'}"
    fi
    BUFFER=$line
    CURSOR=$#BUFFER
    return code
}

# What comes after the program's name; files where it knows nothing.
__llmasos_complete() {
    local -a lines values shown
    local line
    lines=("${(@f)$(command llmasos complete --shell zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${(@)lines:#}"; do
        values+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done
    if (( $#values )); then
        compadd -l -d shown -a -- values
    else
        _files
    fi
}

(( $+functions[compdef] )) && compdef __llmasos_complete llmasos
if [[ -o interactive ]]; then
    zle -N llmasos-suggest __llmasos_suggest
    bindkey -M emacs '@KEY@' llmasos-suggest
    bindkey -M viins '@KEY@' llmasos-suggest
fi
