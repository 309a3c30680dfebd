//! Not trusted: a test. Programs whose label states have to be found, each beside one that differs
//! by what makes it wrong.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod twins;

use twins::{said, twins};

/// An outcome is decided before a loop: inside, what it gave is there for certain.
#[test]
fn guards_that_hold_go_before_ways_join() {
    let program = |test: &str| {
        format!(
            "use \"kernel.tali\"
            struct cell {{ value: u64 }}
            fn make(rdi = h: out cell, rsi = n) -> (rax = 0) or (rax = 1, h: junk[sizeof cell])
            {{
                    test    rsi, rsi
                    jz      .none
                    mov     [rdi + cell.value], rsi
                    xor     eax, eax
                    ret
            .none:  mov     eax, 1
                    ret
            }}
            fn step(rdi = h: inout cell)
            {{
                    inc     qword [rdi + cell.value]
                    ret
            }}
            entry fn start {{
                    sub     rsp, 8
                    mov     rdi, rsp
                    mov     esi, 5
                    call    make
                    {test}
                    xor     ebx, ebx
            .next:
                    mov     rdi, rsp
                    call    step
                    inc     rbx
                    cmp     rbx, 9
                    jb      .next
            .end:   xor     edi, edi
                    jmp     exit
            }}"
        )
    };
    twins(program, "test rax, rax\n jnz .end", "");
}

/// Where the program ends, it is no matter what else is owned on one of the ways; where it goes on,
/// it is.
#[test]
fn what_is_owned_on_one_way_is_lost_at_a_dead_end() {
    let program = |end: &str| {
        format!(
            "use \"kernel.tali\"
            entry fn start {{
                    mov     edi, PAGE
                    call    mmap
                    test    rax, rax
                    js      .failed
                    mov     rbx, rax
                    mov     edi, PAGE
                    call    mmap
                    test    rax, rax
                    js      .failed
                    xor     edi, edi
                    jmp     exit
            .failed:
                    mov     edi, 1
                    {end}
            }}"
        )
    };
    twins(program, "jmp exit", "jmp .failed");
}

/// A loop that forgets what it allocates is still refused.
#[test]
fn a_leak_in_a_loop_is_refused() {
    let program = |give: &str| {
        format!(
            "use \"kernel.tali\"
            use \"heap.tali\"
            entry fn start {{
                    mov     ebx, 9
            .next:
                    mov     edi, 8
                    call    malloc
                    test    rax, rax
                    jz      .end
                    {give}
                    dec     rbx
                    jnz     .next
            .end:   xor     edi, edi
                    jmp     exit
            }}"
        )
    };
    assert_eq!(said(&program("mov rdi, rax\n call free")), "");
    assert_eq!(said(&program("")), "E0410");
}

/// What a `where` says is owned is made on each way to it.
#[test]
fn a_written_owner_is_made_on_each_way() {
    let program = |written: &str| {
        format!(
            "use \"heap.tali\"
            pub fn zeroed() -> (rax: own@heap? u64)
            {{
                    sub     rsp, 8
                    mov     edi, 8
                    call    malloc
                    test    rax, rax
                    jz      .none
                    mov     qword [rax], 0
            .none:  {written}
                    add     rsp, 8
                    ret
            }}"
        )
    };
    twins(program, "where rax: own@heap? u64", "where rax: own@heap? u32");
}

/// Zeroes on one way, numbers on the other: numbers.
#[test]
fn owned_memory_takes_the_form_of_the_other_way() {
    let program = |store: &str| {
        format!(
            "use \"kernel.tali\"
            fn keep(rdi = p: inout [512]u64)
            {{
                    mov     qword [rdi + 8], 7
                    ret
            }}
            entry fn start {{
                    mov     edi, PAGE
                    call    mmap
                    test    rax, rax
                    js      .end
                    mov     r12, rax
                    xor     ebx, ebx
            .next:
                    {store}
                    mov     rdi, r12
                    call    keep
                    inc     rbx
                    cmp     rbx, 512
                    jb      .next
            .end:   xor     edi, edi
                    jmp     exit
            }}"
        )
    };
    twins(program, "mov [r12 + rbx*8], rbx", "mov [r12 + rbx*8 + 8], rbx");
}

/// A list that is empty at first and built in the function itself.
#[test]
fn a_struct_of_unknown_values_joins_null() {
    let program = |link: &str| {
        format!(
            "use \"kernel.tali\"
            use \"heap.tali\"
            struct node {{ next: own@heap? node, value: u64 }}
            entry fn start {{
                    xor     r12d, r12d
                    xor     ebx, ebx
            .next:
                    mov     edi, sizeof node
                    call    malloc
                    test    rax, rax
                    jz      .end
                    mov     [rax + node.next], {link}
                    mov     [rax + node.value], rbx
                    mov     r12, rax
                    inc     rbx
                    cmp     rbx, 512
                    jb      .next
            .end:   xor     edi, edi
                    jmp     exit
            }}"
        )
    };
    twins(program, "r12", "r11");
}

/// What was lent for a result comes back where the other way has it.
#[test]
fn what_is_lent_on_one_way_comes_back() {
    let program = |after: &str| {
        format!(
            "struct pair {{ a: u64, b: u64 }}
            fn second(rdi = p: &rw pair) -> (rax: &rw@p pair)
            {{
                    mov     rax, rdi
                    ret
            }}
            fn change(rdi = p: inout pair, rsi = which)
            {{
                    sub     rsp, 8
                    mov     rax, rdi
                    test    rsi, rsi
                    jz      .out
                    mov     [rsp], rdi
                    call    second
                    inc     qword [rax + pair.b]
            .out:   {after}
                    add     rsp, 8
                    ret
            }}"
        )
    };
    twins(program, "", "inc qword [rax + pair.b + 8]");
}

/// Slots in a `where` count from rsp there.
#[test]
fn written_slots_count_from_rsp() {
    let program = |most: &str| {
        format!(
            "fn walk(rdi = a: &[n]u64, rsi = n) -> (rax)
            {{
                    push    rsi
                    xor     eax, eax
            .next:  where some k, rdi = a + 8*k, 0 <= k, 0 <= [rsp], k + [rsp] <= {most}
                    mov     rcx, [rsp]
                    test    rcx, rcx
                    jz      .done
                    add     rax, [rdi]
                    dec     rcx
                    shr     rcx, 1
                    mov     [rsp], rcx
                    add     rdi, 8
                    jmp     .next
            .done:  pop     rcx
                    ret
            }}"
        )
    };
    twins(program, "n", "n + 1");
}

/// `@share` gives up what is owned for a reference that stays: it is not freed any more.
#[test]
fn what_is_shared_is_there_for_ever() {
    let program = |ghost: &str, after: &str| {
        format!(
            "use \"heap.tali\"
            struct cell {{ text: ref? bytes[8] }}
            bss slot: cell
            pub fn keep(rdi = p: own@heap bytes[8])
            {{
                    {ghost}
                    mov     [slot + cell.text], rdi
                    {after}
                    ret
            }}"
        )
    };
    assert_eq!(said(&program("@share rdi", "")), "");
    assert_ne!(said(&program("", "")), "");
    assert_ne!(said(&program("@share_rw rdi", "")), "");
    assert_ne!(said(&program("@share rdi", "call free")), "");
}

/// What an entry of a jump table says of a parameter is known on its edge.
#[test]
fn a_parameter_indexes_a_jump_table() {
    let program = |last: u8| {
        format!(
            "pub fn pick(rdi = i: int[0 .. {last}]) -> (rax)
            {{
            table .places = .a, .b, .a
                    jmp     [.places + rdi*8]
            .a:     xor     eax, eax
                    ret
            .b:     mov     eax, 1
                    ret
            }}"
        )
    };
    assert_eq!(said(&program(2)), "");
    assert_ne!(said(&program(3)), "");
}

/// A search tree: what comes back is the tree that was given, or a new one, or null.
#[test]
fn a_tree_that_was_given_joins_a_new_one() {
    let program = |key: &str| {
        format!(
            "use \"heap.tali\"
            struct tree {{ left: own@heap? tree, right: own@heap? tree, key: u64 }}
            pub fn put(rdi = t: own@heap? tree, rsi = key: u64) -> (rax: own@heap? tree)
            {{
                    push    rbx
                    push    r12
                    sub     rsp, 8
                    test    rdi, rdi
                    jz      .new
                    mov     rbx, rdi
                    cmp     rsi, [rbx + tree.key]
                    jb      .left
                    mov     rdi, [rbx + tree.right]
                    call    put
                    mov     [rbx + tree.right], rax
                    jmp     .done
            .left:  mov     rdi, [rbx + tree.left]
                    call    put
                    mov     [rbx + tree.left], rax
            .done:  mov     rax, rbx
            .out:   add     rsp, 8
                    pop     r12
                    pop     rbx
                    ret
            .new:   mov     r12, rsi
                    mov     edi, sizeof tree
                    call    malloc
                    test    rax, rax
                    jz      .out
                    mov     qword [rax + tree.left], 0
                    mov     qword [rax + tree.right], 0
                    {key}
                    jmp     .out
            }}"
        )
    };
    twins(program, "mov [rax + tree.key], r12", "");
}

/// A stack in an array: one loop with many ways back, whose bound is one of many constants.
#[test]
fn a_bound_among_many_constants_is_found() {
    let program = |last: &str| {
        format!(
            "const DEPTH = 32
            bss stack: [DEPTH]u64
            fn f(rdi = s: &bytes[n], rsi = n)
            {{
                    xor     ecx, ecx
                    xor     edx, edx
            .next:  cmp     rdx, rsi
                    jae     .bad
                    movzx   eax, byte [rdi + rdx]
                    inc     rdx
                    cmp     al, ' '
                    je      .next
                    cmp     al, 10
                    je      .next
                    cmp     al, '+'
                    je      .add
                    cmp     al, '*'
                    je      .mul
                    cmp     ecx, DEPTH
                    {last}  .bad
                    mov     [stack + rcx*8], rax
                    inc     ecx
                    jmp     .next
            .add:   cmp     ecx, 2
                    jb      .bad
                    dec     ecx
                    jmp     .next
            .mul:   cmp     ecx, 2
                    jb      .bad
                    mov     r8, [stack + rcx*8 - 8]
                    dec     ecx
                    jmp     .next
            .bad:   ret
            }}"
        )
    };
    twins(program, "jae", "ja");
}

/// The judge keeps so many facts in a block; a longer one gets labels that nobody wrote, where no
/// flags are needed.
#[test]
fn a_long_block_is_cut() {
    let program = |step: &str| {
        let lines = step.repeat(400);
        format!(
            "fn sum(rdi = a: inout [64]u64, rsi = n: u64) -> (rax)
            {{
                    push    rbx
                    xor     eax, eax
                    {lines}
                    add     [rdi + 504], rax
                    pop     rbx
                    ret
            }}"
        )
    };
    let step = |at: u32| {
        format!(
            "mov rcx, [rdi + {at}]
            shr rcx, 3
            and ecx, 255
            add rax, rcx
            adc rsi, 0
            cmp rcx, rsi
            cmovb rbx, rcx\n"
        )
    };
    twins(program, &step(504), &step(505));
}

/// A register holds a term modulo 2^64; where that says nothing, the number in it gets a name.
#[test]
fn what_may_wrap_is_compared_as_the_register_holds_it() {
    let parameter = |last: &str| {
        format!(
            "pub fn pick(rdi = i) -> (rax)
            {{
            table .places = .a, .b, .a
                    cmp     rdi, {last}
                    ja      .b
                    jmp     [.places + rdi*8]
            .a:     xor     eax, eax
                    ret
            .b:     mov     eax, 1
                    ret
            }}"
        )
    };
    twins(parameter, "2", "3");
    let sum = |compare: &str| {
        format!(
            "pub fn at(rdi = p: &[4]u8, rsi = x: u64, rdx = y: u64) -> (rax)
            {{
                    xor     eax, eax
                    mov     rcx, rsi
                    add     rcx, rdx
                    {compare} .out
                    movzx   eax, byte [rdi + rcx]
            .out:   ret
            }}"
        )
    };
    twins(sum, "cmp rcx, 4\n jae", "cmp rcx, 5\n jae");
    // A signed compare bounds from above only.
    twins(sum, "test rcx, rcx\n js .out\n cmp rcx, 4\n jge", "cmp rcx, 4\n jge");
    // The parts say nothing about the sum, which may wrap.
    twins(sum, "cmp rcx, 4\n jae", "cmp rsi, 4\n jae .out\n cmp rdx, 4\n jae");
}

/// The name is tried only where a function is refused without: what is promised of the term that
/// was compared is kept.
#[test]
fn what_is_compared_stays_what_it_was() {
    let program = |result: &str| {
        format!(
            "pub fn same(rdi = i) -> (rax = {result})
            {{
                    mov     rax, rdi
                    cmp     rax, 4
                    jae     .out
                    nop
            .out:   ret
            }}"
        )
    };
    twins(program, "i", "i + 1");
}
