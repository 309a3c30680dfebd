/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernel's thunks, without what they are there for. */
	.globl	__x86_return_thunk
__x86_return_thunk:
	ret
	.globl	__x86_indirect_thunk_r11
__x86_indirect_thunk_r11:
	jmp	*%r11
	.section .note.GNU-stack, "", @progbits
