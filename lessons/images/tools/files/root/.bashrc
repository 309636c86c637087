# The learner's shell.
PS1='\[\e[32m\]you@drydock\[\e[0m\]:\[\e[34m\]\w\[\e[0m\]\$ '
HISTCONTROL=ignoredups
shopt -s checkwinsize
alias ls='ls --color=auto' ll='ls -l' grep='grep --color=auto' k=kubectl
[ -f /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion

# Offers files of the home folder to the browser: its terminal knows this sequence, and asks before it fetches anything.
download() {
  local file path
  if [ $# -eq 0 ]; then
    echo 'usage: download FILE...' >&2
    return 2
  fi
  for file; do
    if [ ! -f "$file" ]; then
      echo "download: $file is no file" >&2
      return 1
    fi
    path=$(realpath -- "$file")
    if [ "${path#"$HOME"/}" = "$path" ]; then
      echo "download: $path is not in your home folder; copy it there first" >&2
      return 1
    fi
    printf '\e]5522;download;%s\a' "${path#"$HOME"/}"
  done
}
