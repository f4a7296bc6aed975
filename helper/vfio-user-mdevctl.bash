# SPDX-License-Identifier: GPL-2.0
# Completion for bash: vfio-user-mdevctl.

_vfio_user_mdevctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} verb='' word i
	local verbs='list show stats monitor create set remove handover'
	local options='--json --prometheus --socket= --watch --help --version'
	local attributes='attach_timeout_ms= data_path= dma_announce= dma_aperture= dma_fault=
		dma_fault_timeout_ms= dma_max_pinned= dma_mode= license_policy=
		optional_commands= poll_us= posted_writes= socket= timeout_ms='
	local words=$verbs after=0

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-*) continue ;;
		esac
		if [ -n "$verb" ]; then
			after=$((after + 1))
		else
			verb=$word
		fi
	done
	case $verb:$after in
	show:0 | stats:0 | set:0 | remove:0 | handover:0)
		words=$(vfio-user-mdevctl list 2>/dev/null | sed 1d | cut -d ' ' -f 1)
		;;
	handover:1)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	create:* | set:*)
		compopt -o nospace
		words=$attributes
		;;
	[a-z]*) words='' ;;
	esac
	case $cur in
	-*) words=$options ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _vfio_user_mdevctl vfio-user-mdevctl
