//! Not trusted: a test. What is known and owned where ways meet, each program beside one that
//! differs by what makes it wrong.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod twins;

use twins::{said, twins};

const TREE: &str = "use \"heap.tali\"
struct tnode { left: own@heap? tnode, right: own@heap? tnode }
";

/// Where a single jump leads, what was tested and taken out before it stays so.
#[test]
fn a_single_way_keeps_what_is_open() {
    let program = |test: &str| {
        format!(
            "{TREE}
            pub fn drop(rdi = p: own@heap tnode) -> (rax: own@heap? tnode)
            {{
                    push    rbx
                    mov     rax, [rdi + tnode.left]
                    test    rax, rax
                    {test}      .root
                    mov     rcx, [rax + tnode.right]
                    mov     [rdi + tnode.left], rcx
                    mov     [rax + tnode.right], rdi
                    pop     rbx
                    ret
            .root:
                    mov     rbx, [rdi + tnode.right]
                    call    free
                    mov     rax, rbx
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(program, "jz", "jnz");
    // Upwards, and with a jump of its own.
    let upwards = |field: &str| {
        format!(
            "{TREE}
            pub fn drop(rdi = p: own@heap tnode) -> (rax: own@heap? tnode)
            {{
                    push    rbx
                    mov     rbx, [rdi + tnode.left]
                    test    rbx, rbx
                    jnz     .both
                    jmp     .root
            .free:
                    call    free
                    mov     rax, rbx
                    pop     rbx
                    ret
            .root:
                    mov     rbx, [rdi + tnode.{field}]
                    jmp     .free
            .both:
                    mov     [rdi + tnode.left], rbx
                    mov     rax, rdi
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(upwards, "right", "left");
    // In a loop: the head is where ways meet, and what is behind its test is as it was there.
    let turns = |head: &str| {
        format!(
            "{TREE}
            pub fn drop_all(rdi = t: own@heap? tnode)
            {{
                    push    rbx
                    mov     rbx, rdi
            .next:
                    test    rbx, rbx
                    jz      .out
                    mov     rax, [rbx + tnode.left]
                    test    rax, rax
                    jnz     .turn
                    mov     rdi, rbx
                    {head}
                    call    free
                    jmp     .next
            .turn:
                    mov     rcx, [rax + tnode.right]
                    mov     [rbx + tnode.left], rcx
                    mov     [rax + tnode.right], rbx
                    mov     rbx, rax
                    jmp     .next
            .out:
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(turns, "mov rbx, [rbx + tnode.right]", "xor ebx, ebx");
}

/// Numbers of an opened struct are known behind a condition, and a loop whose test stands at its
/// end ends all the same.
#[test]
fn a_single_way_keeps_what_is_known_of_numbers() {
    let program = |most: &str| {
        format!(
            "use \"heap.tali\"
            struct vec exists n, c where n <= c, 1 <= c {{ len = n: u64, cap = c: u64,
                data: own@heap [n of c]u64 }}
            pub fn room(rdi = v: inout vec) -> (rax: int[{most} .. 18446744073709551615])
            {{
                    mov     rax, [rdi + vec.len]
                    cmp     rax, [rdi + vec.cap]
                    je      .full
                    mov     eax, 1
                    ret
            .full:
                    mov     rax, [rdi + vec.cap]
                    ret
            }}"
        )
    };
    twins(program, "1", "2");
    let turns = |step: &str| {
        format!(
            "pub fn sum(rdi = a: &[n]u64, rsi = n: u64) -> (rax)
            {{
                    xor     eax, eax
                    xor     ecx, ecx
                    jmp     .test
            .next:
                    add     rax, [rdi + rcx*8]
                    add     rcx, {step}
            .test:
                    cmp     rcx, rsi
                    jb      .next
                    ret
            }}"
        )
    };
    assert_eq!(said(&turns("1")), "");
    // From above, over one label to which a single way leads after another.
    let chain = |bound: &str| {
        format!(
            "pub fn sum(rdi = a: &[n]u64, rsi = n: u64) -> (rax)
            {{
                    xor     eax, eax
                    xor     ecx, ecx
                    jmp     .test
            .next:
                    jmp     .add
            .step:
                    inc     rcx
                    jmp     .test
            .add:
                    add     rax, [rdi + rcx*8]
                    jmp     .step
            .test:
                    cmp     rcx, {bound}
                    jb      .next
                    ret
            }}"
        )
    };
    twins(chain, "rsi", "rdi");
}

/// What was null is one more value of what may be null; what was moved out of fields differs.
#[test]
fn null_and_an_owner_meet() {
    let program = |rest: &str| {
        format!(
            "{TREE}
            fn both(rdi = a: own@heap? tnode, rsi = b: own@heap? tnode) -> (rax: own@heap? tnode)
            {{
            .for_ever: jmp .for_ever
            }}
            pub fn drop_root(rdi = t: own@heap tnode) -> (rax: own@heap? tnode)
            {{
                    push    rbx
                    push    r12
                    sub     rsp, 8
                    mov     rbx, rdi
                    mov     r12, [rbx + tnode.left]
                    mov     rdi, [rbx + tnode.right]
                    test    rdi, rdi
                    jz      .free
                    mov     rsi, r12
                    call    both
                    {rest}
            .free:
                    mov     rdi, rbx
                    call    free
                    mov     rax, r12
                    add     rsp, 8
                    pop     r12
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(program, "mov r12, rax", "");
    // The other side is null, too, and by way of another register.
    let only = |test: &str| {
        format!(
            "{TREE}
            pub fn only(rdi = t: own@heap tnode) -> (rax: own@heap? tnode, rdx: own@heap? tnode)
            {{
                    push    rbx
                    push    r12
                    sub     rsp, 8
                    mov     rbx, [rdi + tnode.left]
                    mov     r12, [rdi + tnode.right]
                    test    rbx, rbx
                    jz      .free
                    test    r12, r12
                    {test}
                    xchg    rbx, r12
            .free:
                    call    free
                    mov     rax, rbx
                    mov     rdx, r12
                    add     rsp, 8
                    pop     r12
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(only, "jz .free", "jz .free\n xor ebx, ebx");
}

const LIST: &str = "use \"heap.tali\"
struct node { next: own@heap? node, val: u64 }
";

/// A list is walked from its first node on: what the parameter named is behind, and owned by what
/// was built meanwhile.
#[test]
fn a_list_is_reversed() {
    let program = |link: &str| {
        format!(
            "{LIST}
            pub fn reverse(rdi = l: own@heap? node) -> (rax: own@heap? node)
            {{
                    xor     eax, eax
                    jmp     .test
            .next:
                    mov     rcx, [rdi + node.next]
                    {link}
                    mov     rax, rdi
                    mov     rdi, rcx
            .test:
                    test    rdi, rdi
                    jnz     .next
                    ret
            }}"
        )
    };
    twins(program, "mov [rdi + node.next], rax", "");
    // Onto another list, the test at the end, in other registers.
    let append = |link: &str| {
        format!(
            "{LIST}
            pub fn onto(rdi = l: own@heap node, rsi = m: own@heap? node) -> (rax: own@heap node)
            {{
            .next:
                    mov     rdx, [rdi + node.next]
                    mov     [rdi + node.next], rsi
                    mov     rsi, {link}
                    mov     rdi, rdx
                    test    rdi, rdi
                    jnz     .next
                    mov     rax, rsi
                    ret
            }}"
        )
    };
    twins(append, "rdi", "rdx");
    // Two results: each node goes to one of two lists.
    let halves = |link: &str| {
        format!(
            "{LIST}
            pub fn halves(rdi = l: own@heap? node) -> (rax: own@heap? node, rdx: own@heap? node)
            {{
                    xor     eax, eax
                    xor     edx, edx
                    jmp     .test
            .next:
                    mov     rcx, [rdi + node.next]
                    cmp     qword [rdi + node.val], 10
                    jb      .small
                    mov     [rdi + node.next], rdx
                    mov     rdx, rdi
                    mov     rdi, rcx
                    jmp     .test
            .small:
                    mov     [rdi + node.next], rax
                    mov     {link}, rdi
                    mov     rdi, rcx
            .test:
                    test    rdi, rdi
                    jnz     .next
                    ret
            }}"
        )
    };
    twins(halves, "rax", "rdx");
}

/// The lengths of a struct that is only read are found again wherever it is opened again.
#[test]
fn opened_structs_are_opened_again() {
    let program = |skip: &str| {
        format!(
            "struct item exists n, k where k <= n
                {{ next: own? item, text: own bytes[n], len = n: u64, klen = k: u64 }}
            pub fn find(rdi = items: &? item, rsi = key: &bytes[m], rdx = m: u64)
                -> (rax: &@items? item)
            {{
                    mov     rax, rdi
                    jmp     .test
            .next:  mov     rax, [rax + item.next]
            .test:
                    test    rax, rax
                    jz      .out
                    cmp     [rax + item.klen], rdx
                    {skip}     .next
                    mov     r8, [rax + item.text]
                    xor     ecx, ecx
                    jmp     .bytes
            .byte:
                    movzx   r9d, byte [rsi + rcx]
                    cmp     r9b, [r8 + rcx]
                    jne     .next
                    inc     rcx
            .bytes:
                    cmp     rcx, rdx
                    jb      .byte
            .out:   ret
            }}"
        )
    };
    // At least as long as the key: enough for a prefix.
    assert_eq!(said(&program("jb")), "");
    twins(program, "jne", "ja");
}

/// What a call was lent a part of is whole again, whether its size is a number or not.
#[test]
fn what_a_call_split_is_whole_again() {
    let program = |rest: &str| {
        format!(
            "use \"kernel.tali\"
            entry fn start {{
                    mov     edi, 4096
                    call    mmap
                    test    rax, rax
                    js      .end
                    mov     rbx, rax
                    xor     ebp, ebp
            .more:
                    mov     edx, 4096
                    {rest}
                    jz      .end
                    xor     edi, edi
                    lea     rsi, [rbx + rbp]
                    call    read
                    test    rax, rax
                    jle     .end
                    add     rbp, rax
                    jmp     .more
            .end:
                    xor     edi, edi
                    jmp     exit
            }}"
        )
    };
    twins(program, "sub rdx, rbp", "test edx, edx");
    let sized = |rest: &str| {
        format!(
            "use \"heap.tali\"
            fn fill(rdi = p: &rw bytes[n], rsi = n: u64) -> (rax: int[0 .. n])
            {{
                    xor     eax, eax
                    ret
            }}
            pub fn filled(rdi = n: int[1 .. 1 << 30]) -> (rax: own@heap? bytes[n])
            {{
                    push    rbx
                    push    rbp
                    push    r12
                    mov     r12, rdi
                    call    calloc
                    test    rax, rax
                    jz      .out
                    mov     rbx, rax
                    xor     ebp, ebp
            .more:
                    mov     rsi, r12
                    sub     rsi, rbp
                    jz      .done
                    {rest}
                    call    fill
                    test    rax, rax
                    jz      .done
                    add     rbp, rax
                    jmp     .more
            .done:
                    mov     rax, rbx
            .out:
                    pop     r12
                    pop     rbp
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(sized, "lea rdi, [rbx + rbp]", "lea rdi, [rbx + rbp + 1]");
    // A part of an array.
    let array = |from: &str| {
        format!(
            "fn step(rdi = p: &rw [n]u64, rsi = n: u64)
            {{
                    ret
            }}
            pub fn all(rdi = a: inout [100]u64)
            {{
                    push    rbx
                    push    rbp
                    sub     rsp, 8
                    mov     rbx, rdi
                    xor     ebp, ebp
            .more:
                    lea     rdi, [rbx + {from}]
                    mov     esi, 100
                    sub     rsi, rbp
                    call    step
                    inc     rbp
                    cmp     rbp, 100
                    jb      .more
                    add     rsp, 8
                    pop     rbp
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(array, "rbp*8", "rbp*8 + 8");
}

/// Both outcomes leave by one epilogue: what the result says is what is owned.
#[test]
fn outcomes_meet_in_one_epilogue() {
    let program = |(fails, works): (u32, u32)| {
        format!(
            "use \"heap.tali\"
            struct vec exists n where 1 <= n {{ data: own@heap bytes[n], len = n: u64 }}
            pub fn make(rdi = v: out vec) -> (rax = 0) or (rax = 1, v: junk[16])
            {{
                    push    rbx
                    mov     rbx, rdi
                    mov     edi, 100
                    call    calloc
                    test    rax, rax
                    mov     ecx, {fails}
                    jz      .out
                    mov     [rbx + vec.data], rax
                    mov     qword [rbx + vec.len], 100
                    mov     ecx, {works}
            .out:
                    mov     rax, rcx
                    pop     rbx
                    ret
            }}"
        )
    };
    assert_eq!(said(&program((1, 0))), "");
    for wrong in [(0, 0), (1, 1), (0, 1), (2, 0)] {
        assert_ne!(said(&program(wrong)), "", "with {wrong:?}");
    }
    // Errors of several kinds, before and behind, and the result stays in its register.
    let errors = |(early, late): (&str, &str)| {
        format!(
            "use \"kernel.tali\"
            struct area exists k where 1 <= k {{ data: own@map zero[4096*k], size = 4096*k: u64 }}
            pub fn get(rdi = v: out area, rsi = n: u64) -> (rax = 0) or (rax: errno, v: junk[16])
            {{
                    push    rbx
                    mov     rbx, rdi
                    mov     rax, {early}
                    cmp     rsi, 4
                    ja      .out
                    mov     edi, 4096
                    call    mmap
                    test    rax, rax
                    js      .out
                    mov     [rbx + area.data], rax
                    mov     qword [rbx + area.size], 4096
                    mov     rax, {late}
            .out:
                    pop     rbx
                    ret
            }}"
        )
    };
    assert_eq!(said(&errors(("-EOVERFLOW", "0"))), "");
    for wrong in [("0", "0"), ("-EOVERFLOW", "-EOVERFLOW"), ("1", "0")] {
        assert_ne!(said(&errors(wrong)), "", "with {wrong:?}");
    }
}

/// Two places that may be read for ever meet in one register.
#[test]
fn shared_places_meet() {
    let data = "rodata short: bytes = \"no\\n\"\nrodata long: bytes = \"maybe\\n\"\n";
    let program = |size: &str| {
        format!(
            "use \"kernel.tali\"\n{data}
            entry fn start {{
                    lea     rsi, [short]
                    mov     edx, sizeof short
                    cmp     rdi, 2
                    jb      .say
                    lea     rsi, [long]
                    mov     edx, {size}
            .say:
                    mov     edi, 1
                    call    write
                    xor     edi, edi
                    jmp     exit
            }}"
        )
    };
    twins(program, "sizeof long", "sizeof long + 1");
    // Data, and what the host lends for ever.
    let either = |length: &str| {
        format!(
            "use \"kernel.tali\"\n{data}
            entry fn start {{
                    lea     rax, [short]
                    mov     ecx, sizeof short
                    cmp     rdi, 2
                    jb      .say
                    mov     rax, [rsi + sizeof str + str.ptr]
                    mov     rcx, {length}
            .say:
                    mov     edi, 1
                    mov     rsi, rax
                    mov     rdx, rcx
                    call    write
                    xor     edi, edi
                    jmp     exit
            }}"
        )
    };
    twins(either, "[rsi + sizeof str + str.len]", "[rsi + str.len]");
    // It is read in a loop, from another offset on each way; nothing is written.
    let walk = |access: &str| {
        format!(
            "rodata a: [8]u64 = times 8 1\nbss b: [8]u64
            pub fn sum(rdi = k: int[0 .. 1]) -> (rax)
            {{
                    lea     rsi, [a]
                    mov     ecx, 4
                    test    rdi, rdi
                    jz      .add
                    lea     rsi, [b + 16]
            .add:
                    xor     eax, eax
            .next:
                    {access}
                    add     rsi, 8
                    dec     rcx
                    jnz     .next
                    ret
            }}"
        )
    };
    twins(walk, "add rax, [rsi]", "mov [rsi], rcx");
    // Or nothing.
    let nullable = |test: &str| {
        format!(
            "{data}
            pub fn first(rdi = k: u64) -> (rax: u8)
            {{
                    xor     esi, esi
                    xor     eax, eax
                    cmp     rdi, 1
                    jb      .read
                    lea     rsi, [short]
            .read:
                    {test}
                    jz      .out
                    movzx   eax, byte [rsi]
            .out:   ret
            }}"
        )
    };
    twins(nullable, "test rsi, rsi", "test rdi, rdi");
    // What is lent for a call only is not.
    let lent = |of: &str| {
        format!(
            "pub fn pick(rdi = a: {of} bytes[8], rsi = b: {of} bytes[8], rdx = k) -> (rax: u8)
            {{
                    test    rdx, rdx
                    jz      .read
                    mov     rdi, rsi
            .read:
                    movzx   eax, byte [rdi]
                    ret
            }}"
        )
    };
    twins(lent, "ref", "&");
}

/// What is shared for ever has its type before: links are stored into it.
#[test]
fn what_is_shared_is_closed_before() {
    let program = |init: &str| {
        format!(
            "use \"heap.tali\"
            struct dnode {{ next: ref rw? dnode, prev: ref rw? dnode, val: i64 }}
            pub fn insert(rdi = p: ref rw dnode, rsi = val: i64) -> (rax: ref rw? dnode)
            {{
                    push    rbx
                    push    r12
                    sub     rsp, 8
                    mov     rbx, rdi
                    mov     r12, rsi
                    mov     edi, sizeof dnode
                    call    {init}
                    test    rax, rax
                    jz      .out
                    mov     [rax + dnode.val], r12
                    @share_rw rax
                    mov     rcx, [rbx + dnode.next]
                    mov     [rax + dnode.next], rcx
                    mov     [rax + dnode.prev], rbx
                    mov     [rbx + dnode.next], rax
                    test    rcx, rcx
                    jz      .out
                    mov     [rcx + dnode.prev], rax
            .out:   add     rsp, 8
                    pop     r12
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(program, "calloc", "malloc");
}

/// Of a register that a written state mentions it stays known that it is a multiple.
#[test]
fn multiples_stay_known_at_written_states() {
    let program = |mask: &str| {
        format!(
            "use \"kernel.tali\"
            struct text exists k where 1 <= k {{ data: own@map bytes[4096*k], cap = 4096*k: u64 }}
            pub fn make(rdi = size: int[0 .. 1 << 30], rsi = t: out text)
                -> (rax = 0) or (rax: errno, t: junk[sizeof text])
            {{
                    push    rbx
                    push    rbp
                    push    r12
                    mov     rbx, rsi
                    add     rdi, 4096
                    and     rdi, {mask}
                    mov     rbp, rdi
                    call    mmap
                    test    rax, rax
                    js      .out
                    mov     r12, rax
                    cmp     byte [r12], 0
                    je      .done
                    mov     byte [r12], 1
            .done:  where r12: own@map bytes[rbp]
                    mov     [rbx + text.data], r12
                    mov     [rbx + text.cap], rbp
                    xor     eax, eax
            .out:
                    pop     r12
                    pop     rbp
                    pop     rbx
                    ret
            }}"
        )
    };
    twins(program, "-4096", "-2048");
}
