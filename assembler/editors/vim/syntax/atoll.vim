" Vim syntax file for Atoll assembly (.atoll)
if exists('b:current_syntax')
  finish
endif

" Operations are single words although they have dots in them.
syn iskeyword @,48-57,_,192-255,.
syn sync minlines=200

syn keyword atollControl if else while loop for in unsigned step switch break continue and or not
syn keyword atollItem func var macro struct enum const packed memory data reserve global table elem
syn keyword atollItem type raw file custom line name word label test
syn keyword atollModifier export import extern module use passive declared start mut align zero
syn keyword atollModifier pages from at locals frame local
syn keyword atollType i8 u8 i16 u16 i32 u32 i64 u64 f32 f64 funcref externref
syn keyword atollBuiltin sizeof alignof len
syn keyword atollConstant null inf nan heap_base

syn match atollOperation /\v<%(i32|i64|f32|f64)%(\.[a-z][a-z0-9_]*){1,4}>/
syn match atollOperation /\v<%(br|back)\.%(ifz?|load%(8|32)\.n?z|%(i32|i64|f32|f64)%(\.[a-z][a-z0-9_]*){1,3})>/
syn match atollOperation /\v<%(call|tail)%(\.%(import|table|ref))?>/
syn match atollOperation /\v<call\.i%(32|64)\.add\.i>/
syn match atollOperation /\v<ret%(\.%(1|n|i%(32|64)\.add|if\.i%(32|64)\.[a-z]{2}%(_[su])?\.i))?>/
syn match atollOperation /\v<mov%(\.%(n|if|[23]))?>/
syn match atollOperation /\v<global\.[gs]et%(\.import)?>/
syn match atollOperation /\v<ref\.%(func|is_null|null)>/
syn match atollOperation /\v<table\.%(get|set|size|grow|fill|copy|init)>/
syn match atollOperation /\v<memory\.%(size|grow|fill|copy|init)>/
syn match atollOperation /\v<%(elem|data)\.drop>/
syn match atollOperation /\v<%(unreachable|nop|select|br_table|br|back)>/

syn match atollNumber /\v<[0-9][0-9_]*%(\.[0-9_]+)?%([eE][+-]?[0-9_]+)?>/
syn match atollNumber /\v<0[xX][0-9A-Fa-f_]+%(\.[0-9A-Fa-f_]+)?%([pP][+-]?[0-9_]+)?>/
syn match atollNumber /\v<0%([oO][0-7_]+|[bB][01_]+)>/
syn match atollNumber /\v<nan:0[xX][0-9A-Fa-f_]+>/
syn match atollRegister /\v\$[0-9]+/
syn match atollLabel /\v^\s*\zs\h\w*\ze%(\([0-9]+\))?:/
syn match atollMacro /\v<\h\w*!\ze\(/

syn match atollEscape /\v\\%([ntr0\\"']|x\x{2}|u\{\x{1,6}\})/ contained
syn region atollString start=/"/ skip=/\\./ end=/"\|$/ contains=atollEscape
syn match atollCharacter /\v'%(\\%(x\x{2}|u\{\x{1,6}\}|.)|[^'\\])'/

syn match atollComment /\/\/.*$/
syn match atollDocComment /\/\/\/.*$/
syn region atollComment start=/\/\*/ end=/\*\// contains=atollComment

hi def link atollControl Conditional
hi def link atollItem Structure
hi def link atollModifier StorageClass
hi def link atollType Type
hi def link atollBuiltin Function
hi def link atollConstant Constant
hi def link atollOperation Statement
hi def link atollNumber Number
hi def link atollRegister Identifier
hi def link atollLabel Label
hi def link atollMacro Macro
hi def link atollEscape SpecialChar
hi def link atollString String
hi def link atollCharacter Character
hi def link atollComment Comment
hi def link atollDocComment SpecialComment

let b:current_syntax = 'atoll'
