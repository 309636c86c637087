# The learner's shell.
PS1='\[\e[32m\]you@drydock\[\e[0m\]:\[\e[34m\]\w\[\e[0m\]\$ '
HISTCONTROL=ignoredups
shopt -s checkwinsize
alias ls='ls --color=auto' ll='ls -l' grep='grep --color=auto' k=kubectl
[ -f /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion
